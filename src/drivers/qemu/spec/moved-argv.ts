import path from 'node:path';
import { isRecord } from '../../../formats/json.ts';
import type { BlockFacts } from './disks/disk-facts.ts';
import { parseBlockdev } from './disks/disk-options.ts';
import { standsInFor } from './moved-names.ts';
import { parseJsonOption, parseOption } from './options.ts';

/**
 * Command line with the present images of disks that were moved at run time; the original paths would be missing
 * or outdated. Pure.
 */
export function withMovedImages(argv: readonly string[], cwd: string, block: BlockFacts): string[] {
  return argv.map((word, at) => {
    const option = /^--?(blockdev|drive)$/.exec(argv[at - 1] ?? '')?.[1];
    if (option === 'blockdev') return movedBlockdev(word, block);
    if (option === 'drive') return movedDrive(word, cwd, block);
    return word;
  });
}

function movedBlockdev(word: string, block: BlockFacts): string {
  const given = parseBlockdev(word);
  const name = given['node-name'];
  if (typeof name !== 'string') return word;
  const now = block.nodes.find((node) => standsInFor(node.name, name));
  if (now === undefined) return word;
  if (typeof given['filename'] === 'string') return withFile(word, ['filename'], now.file);
  if (!isRecord(given['file'])) return word;
  const file = fileBelow(now.name, block);
  return file === undefined ? word : withFile(word, ['file', 'filename'], file);
}

function movedDrive(word: string, cwd: string, block: BlockFacts): string {
  const { props } = parseOption(word, false);
  const drive = block.disks.find((each) => each.drive !== '' && each.drive === props.get('id'));
  const file = drive?.root === undefined ? undefined : fileBelow(drive.root, block);
  const given = props.get('file') ?? props.get('file.filename');
  if (file === undefined || given === undefined) return word;
  // Only replaced images: QEMU may report the path of an opened image differently.
  if (!/^gwm\d-/.test(drive?.root ?? '') || path.resolve(cwd, given) === file) return word;
  const key = props.has('file') ? 'file' : 'file.filename';
  return withProperty(word, key, file);
}

export function fileBelow(root: string, block: BlockFacts): string | undefined {
  const child = block.edges.find(({ parent, role }) => parent === root && role === 'file')?.child;
  return block.nodes.find(({ name }) => name === (child ?? root))?.file;
}

function withFile(word: string, keys: readonly string[], file: string): string {
  if (!word.trimStart().startsWith('{')) return withProperty(word, keys.join('.'), file);
  const top = parseJsonOption(word);
  if (top === undefined) return word;
  const [first = '', second] = keys;
  if (second === undefined) return JSON.stringify({ ...top, [first]: file });
  const inner = top[first];
  return JSON.stringify({ ...top, [first]: { ...(isRecord(inner) ? inner : {}), [second]: file } });
}

/** A comma in an option's value is doubled. */
function withProperty(word: string, key: string, value: string): string {
  const found = new RegExp(`(^|,)${RegExp.escape(key)}=(?:[^,]|,,)*`);
  const escaped = value.replaceAll(',', ',,');
  return word.replace(found, (_all, before: string) => `${before}${key}=${escaped}`);
}
