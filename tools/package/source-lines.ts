import { readFileSync } from 'node:fs';
import { SourceMap, type SourceMapPayload } from 'node:module';
import { fileURLToPath } from 'node:url';

/**
 * Part of each program of a package: a stack trace names the lines of the sources. Maps are read once somebody looks at a
 * trace; Node's own `--enable-source-maps` reads them all at each start.
 */

/** A trace leads through few files; the map of a large one takes a megabyte. */
const MAX_MAPS = 4;

const maps = new Map<string, SourceMap | undefined>();
const folder = new URL('.', import.meta.url).href;

if (!process.sourceMapsEnabled) {
  Error.prepareStackTrace = (error, frames) =>
    [
      String(error),
      ...frames.map((frame) => `    at ${nameSource(String(frame as unknown))}`),
    ].join('\n');
}

/** A frame, with the place in the sources in place of its place in the bundle. */
function nameSource(frame: string): string {
  const found = /^(.*?)(file:\/\/[^()]*):(\d+):(\d+)(\)?)$/.exec(frame);
  if (found === null) return frame;
  const [, before = '', url = '', line, column, after = ''] = found;
  if (!url.startsWith(folder)) return frame;
  const origin = mapOf(url)?.findOrigin(Number(line), Number(column));
  if (origin === undefined || !('fileName' in origin)) return frame;
  return `${before}${origin.fileName}:${origin.lineNumber}:${origin.columnNumber}${after}`;
}

function mapOf(url: string): SourceMap | undefined {
  if (!maps.has(url)) {
    const [oldest] = maps.keys();
    if (maps.size === MAX_MAPS && oldest !== undefined) maps.delete(oldest);
    maps.set(url, readMap(url));
  }
  return maps.get(url);
}

function readMap(url: string): SourceMap | undefined {
  try {
    const payload = JSON.parse(readFileSync(fileURLToPath(`${url}.map`), 'utf8')) as unknown;
    return new SourceMap(payload as SourceMapPayload);
  } catch {
    // The trace then has the places in the bundle.
    return undefined;
  }
}
