/** A command of a document, and what the document says that it prints. */
export interface Session {
  readonly command: string;
  readonly output: string;
}

const BLOCK = /```console\n([^]*?)```/g;

/** The commands of all `console` blocks, in order. */
export function sessionsIn(markdown: string): Session[] {
  return [...markdown.matchAll(BLOCK)].flatMap(([, text = '']) =>
    text
      .split(/^\$ /m)
      .slice(1)
      .map((part) => {
        const end = part.indexOf('\n');
        return { command: part.slice(0, end), output: part.slice(end + 1) };
      }),
  );
}

/** The document with what the commands have printed. */
export function withOutputs(markdown: string, outputs: readonly string[]): string {
  let index = 0;
  return markdown.replace(BLOCK, (_, text: string) => {
    const parts = text
      .split(/^\$ /m)
      .slice(1)
      .map((part) => `$ ${part.slice(0, part.indexOf('\n'))}\n${(outputs[index++] ?? '').trimEnd()}\n`);
    return `\`\`\`console\n${parts.join('').replaceAll('\n\n$ ', '\n$ ')}\`\`\``;
  });
}

/** What differs from run to run, and how wide columns are, is no difference. */
export function masked(text: string): string {
  return text
    .replace(/\d{4}-\d\d-\d\dT[\d:.]+Z/g, 'TIME')
    .replace(/^\d\d:\d\d:\d\d/gm, 'CLOCK')
    .replace(/\b[0-9a-f]{10}\b/g, 'REVISION')
    .replace(/\b\d+[smhd](\d+[smh])?\b/g, 'AGE')
    .replace(/\b\d+ bytes/g, 'N bytes')
    .replace(/ +/g, ' ')
    .replace(/ $/gm, '')
    .trim();
}
