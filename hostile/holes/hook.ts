/**
 * Loaded before the attacked host's programs (`--import`): gives them one known defect, by a change of their source as it
 * is read. The product itself has no switch for it. Each process that the agent starts has it too.
 */
import { registerHooks } from 'node:module';
import { HOLES } from './holes.ts';

const hole = HOLES[process.env['GODWIT_HOLE'] ?? ''];
if (hole === undefined) throw new Error('GODWIT_HOLE names no hole');

registerHooks({
  load(url, context, next) {
    const loaded = next(url, context);
    if (!url.endsWith(`/${hole.file}`) || loaded.source === undefined) return loaded;
    const text =
      typeof loaded.source === 'string'
        ? loaded.source
        : Buffer.from(loaded.source as Uint8Array).toString('utf8');
    if (!text.includes(hole.from)) throw new Error(`${hole.file} has changed: ${hole.from}`);
    return { ...loaded, source: text.replace(hole.from, hole.to) };
  },
});
