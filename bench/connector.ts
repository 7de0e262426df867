// Runs inside a pod: for each line `ADDRESS PORT` on stdin, opens a new TCP connection every 2 ms until one is answered,
// then prints the monotonic time in nanoseconds at which that was.
import { connect } from 'node:net';
import { createInterface } from 'node:readline';

const INTERVAL_MS = 2;

function firstAnswer(address: string, port: number): Promise<bigint> {
  return new Promise((resolve) => {
    let answered = false;
    const attempt = () => {
      const socket = connect({ host: address, port });
      socket.on('error', () => socket.destroy());
      socket.on('connect', () => {
        if (!answered) resolve(process.hrtime.bigint());
        answered = true;
        clearInterval(timer);
        socket.destroy();
      });
      setTimeout(() => socket.destroy(), 1_000);
    };
    const timer = setInterval(attempt, INTERVAL_MS);
    attempt();
  });
}

for await (const line of createInterface({ input: process.stdin })) {
  const [address = '', port = ''] = line.split(' ');
  const answer = firstAnswer(address, Number(port));
  process.stdout.write('trying\n');
  process.stdout.write(`${String(await answer)}\n`);
}
