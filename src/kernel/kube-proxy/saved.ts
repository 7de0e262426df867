import { FAMILIES, type Family } from '../../core/ip.ts';
import { parseTables, type SavedTable } from '../../plan/kube-proxy/rules.ts';
import { isNotFound } from '../error.ts';
import { listTools } from '../iptables/flavour.ts';
import type { IptablesTool } from '../iptables/tool.ts';

/** What one flavour of iptables holds for one family. */
export interface SavedRules {
  readonly tool: IptablesTool;
  readonly family: Family;
  readonly tables: readonly SavedTable[];
}

/** What both flavours hold for both families; nothing where iptables is not installed. Throws KernelError. */
export async function saveAll(): Promise<SavedRules[]> {
  const tools = await listTools(undefined).catch((error: unknown) => {
    if (isNotFound(error)) return [];
    throw error;
  });
  const pairs = tools.flatMap((tool) => FAMILIES.map((family) => ({ tool, family })));
  const saved = await Promise.all(
    pairs.map(async ({ tool, family }) => {
      const text = await tool.saveText(family).catch((error: unknown) => {
        if (isNotFound(error)) return '';
        throw error;
      });
      return { tool, family, tables: parseTables(text) };
    }),
  );
  return saved;
}
