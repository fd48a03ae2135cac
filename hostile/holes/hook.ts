/** Loaded before a program (`--import`): gives it the defect that `GODWIT_HOLE` describes, and each process that it starts. */
import { registerHooks } from 'node:module';
import type { Hole } from './hole.ts';

const hole = JSON.parse(process.env['GODWIT_HOLE'] ?? '{}') as Partial<Hole>;
const { file, from, to } = hole;
if (file === undefined || from === undefined || to === undefined)
  throw new Error('GODWIT_HOLE describes no hole');

registerHooks({
  load(url, context, next) {
    const loaded = next(url, context);
    if (!url.endsWith(`/${file}`) || loaded.source === undefined) return loaded;
    const text =
      typeof loaded.source === 'string'
        ? loaded.source
        : Buffer.from(loaded.source as Uint8Array).toString('utf8');
    if (!text.includes(from)) throw new Error(`${file} has changed: ${from}`);
    return { ...loaded, source: text.replace(from, to) };
  },
});
