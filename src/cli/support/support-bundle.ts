import { writeFileSync } from 'node:fs';
import { hostname } from 'node:os';
import path from 'node:path';
import { godwitError } from '../../errors.ts';
import { formatBytes } from '../../protocol/quantity.ts';
import { renderTable } from '../../words/table.ts';
import { printJson, type Context } from '../context.ts';
import { tableLook } from '../render/paint.ts';
import type { Run } from '../verb.ts';
import { makeBundle, type Bundle } from './bundle.ts';
import { collectParts, CONFIG_DIR } from './collect.ts';
import type { supportBundleSpec } from './specs.ts';

export const run: Run<typeof supportBundleSpec> = async (
  { args, flags, connection, json },
  context,
) => {
  const { show = false, yes = false } = flags;
  const configDir = path.resolve(flags.configDir ?? CONFIG_DIR);
  const { parts, secrets } = await collectParts(context, connection, configDir);
  const madeAt = new Date(context.clock.wallMs());
  const head = { name: 'godwit support bundle', text: `made ${madeAt.toISOString()}` };
  const bundle = makeBundle([head, ...parts], secrets);
  if (show) return context.out.write(bundle.text);
  const day = madeAt.toISOString().slice(0, 10);
  const file = path.resolve(args.file ?? `godwit-support-${hostname()}-${day}.txt`);
  if (!json) showEntries(bundle, context);
  if (!yes) await mustAgree(bundle, file, context);
  writeBundle(file, bundle.text);
  const { entries, text } = bundle;
  if (json) printJson(context, { file, bytes: Buffer.byteLength(text), parts: entries });
  else context.out.write(`Written: ${file}\n`);
};

function showEntries({ entries, text }: Bundle, context: Context): void {
  const rows = entries.map(({ name, bytes, cutBytes }) => [
    name,
    formatBytes(bytes),
    cutBytes === 0 ? '' : `${formatBytes(cutBytes)} cut`,
  ]);
  context.out.write(renderTable(['PART', 'SIZE', ''], rows, tableLook(context)));
  context.out.write(
    `${formatBytes(Buffer.byteLength(text))} in all. Keys, passwords and tokens are removed; names and addresses of hosts and guests are not.\n`,
  );
}

/** GODWIT_USAGE without a terminal, or if the operator does not agree. */
async function mustAgree(bundle: Bundle, file: string, context: Context): Promise<void> {
  const { readLine } = context;
  if (readLine === undefined) {
    const what = 'there is no terminal for the confirmation';
    const hint = 'Read it with --show, and write it with --yes.';
    throw godwitError('GODWIT_USAGE', { what }, { hint });
  }
  const ended = new AbortController();
  const stop = context.onInterrupt(() => ended.abort());
  try {
    for (;;) {
      context.out.write(`Write it to ${file}? [y/N/show] `);
      const answer = (await readLine(ended.signal))?.trim() ?? '';
      if (/^y(es)?$/i.test(answer)) return;
      if (!/^s(how)?$/i.test(answer)) break;
      context.out.write(bundle.text);
    }
  } finally {
    stop();
  }
  const hint = 'Answer y, or show to read it first.';
  throw godwitError('GODWIT_USAGE', { what: 'nothing was written' }, { hint });
}

function writeBundle(file: string, text: string): void {
  try {
    writeFileSync(file, text, { flag: 'wx', mode: 0o600, flush: true });
  } catch (cause) {
    const why = (cause as Error).message;
    const hint = 'Name a new file: `godwit support-bundle FILE`.';
    throw godwitError(
      'GODWIT_USAGE',
      { what: `the bundle cannot be written: ${why}` },
      { hint, cause },
    );
  }
}
