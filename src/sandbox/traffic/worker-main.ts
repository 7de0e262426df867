import { createInterface } from 'node:readline';
import { listenAll } from './echo-server.ts';
import { Load } from './load.ts';
import type { CommandName, Commands, Request, Response } from './messages.ts';
import { runProbe } from './probe-run.ts';

/** The program that runs inside a namespace. It ends when its parent closes stdin, so it never outlives a killed parent. */
const servers = new Map<number, () => void>();
const loads = new Map<number, Load>();
let nextNumber = 1;

function find<T>(among: Map<number, T>, number: number): T {
  const found = among.get(number);
  if (found === undefined) throw new Error(`there is no number ${number}`);
  return found;
}

const handlers: {
  [Name in CommandName]: (
    argument: Commands[Name]['argument'],
  ) => Promise<Commands[Name]['result']> | Commands[Name]['result'];
} = {
  listen: async ({ listeners }) => {
    const server = nextNumber++;
    servers.set(server, await listenAll(listeners));
    return { server };
  },
  unlisten: ({ server }) => {
    find(servers, server)();
    servers.delete(server);
    return null;
  },
  startLoad: (spec) => {
    const load = nextNumber++;
    loads.set(load, new Load(spec));
    return { load };
  },
  reportLoad: ({ load }) => find(loads, load).report(),
  stopLoad: ({ load }) => find(loads, load).stop(),
  probe: runProbe,
};

async function handle({ id, command, argument }: Request): Promise<void> {
  const handler = handlers[command] as (argument: unknown) => unknown;
  let response: Response;
  try {
    response = { id, result: await handler(argument) };
  } catch (error) {
    response = { id, error: error instanceof Error ? error.message : String(error) };
  }
  process.stdout.write(`${JSON.stringify(response)}\n`);
}

createInterface(process.stdin)
  .on('line', (line) => void handle(JSON.parse(line) as Request))
  .on('close', () => process.exit(0));
