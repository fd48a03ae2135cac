/**
 * Builds the documentation site of docs/ into `dist/site`, which a controller serves at /docs. It needs no network, and what
 * it builds loads nothing from elsewhere.
 */
import { createHash } from 'node:crypto';
import {
  copyFileSync,
  globSync,
  mkdirSync,
  readFileSync,
  renameSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import path from 'node:path';
import { parseArgs } from 'node:util';
import { build } from 'vitepress';
import { BASE, INLINE_SCRIPT } from './site/site-config.ts';

const root = path.resolve(import.meta.dirname, '..');

/** Builds everything once; the former content of `out` is gone. */
export async function buildSite(out: string): Promise<void> {
  const fresh = `${out}.${process.pid}`;
  rmSync(fresh, { recursive: true, force: true });
  mkdirSync(path.dirname(out), { recursive: true });
  await build(path.join(root, 'tools/site'), { outDir: fresh });
  for (const page of globSync('**/*.html', { cwd: fresh })) moveInlineOut(fresh, page);
  for (const sheet of globSync('**/*.css', { cwd: fresh })) moveIconsOut(fresh, sheet);
  copyFileSync(path.join(root, 'web/icon.svg'), path.join(fresh, 'icon.svg'));
  // A reader meanwhile finds the former site whole.
  rmSync(out, { recursive: true, force: true });
  renameSync(fresh, out);
}

/** Settings of styles in a tag, which the policy of the controller refuses as well; the theme looks the same without them. */
const INLINE_STYLE = / style="(?:position:relative;|--vp-vh:0px;)"/g;

/** The policy of the controller allows no script in a page, so each becomes a file named by its content. */
function moveInlineOut(out: string, page: string): void {
  const file = path.join(out, page);
  const html = readFileSync(file, 'utf8');
  const moved = html.replaceAll(INLINE_SCRIPT, (_whole, attributes: string, code: string) => {
    return `<script${attributes} src="${BASE}${named(out, code, 'js')}"></script>`;
  });
  writeFileSync(file, moved.replaceAll(INLINE_STYLE, ''));
}

const ICON = /url\((["']?)data:image\/svg\+xml,(.*?)\1\)(?=[;}\s])/g;

/** Icons that a style sheet has in itself, which the policy refuses too. */
function moveIconsOut(out: string, sheet: string): void {
  const file = path.join(out, sheet);
  const moved = readFileSync(file, 'utf8').replaceAll(
    ICON,
    (_whole, _quote: string, icon: string) => {
      const svg = decodeURIComponent(icon);
      return `url("${BASE}${named(out, svg, 'svg')}")`;
    },
  );
  writeFileSync(file, moved);
}

/** Writes a file that is named by its content, and returns its place below the site. */
function named(out: string, content: string, extension: string): string {
  const digest = createHash('sha256').update(content).digest('hex').slice(0, 8);
  const place = `assets/inline.${digest}.${extension}`;
  writeFileSync(path.join(out, place), content);
  return place;
}

if (import.meta.main) {
  // Refuses words and flags: none of them would have an effect.
  parseArgs({ options: {} });
  await buildSite(path.join(root, 'dist/site'));
}
