import { existsSync, readdirSync, readFileSync, statSync } from 'node:fs';
import path from 'node:path';
import type { DefaultTheme, MarkdownOptions, UserConfig } from 'vitepress';
import { addresses } from '../addresses.ts';
import { headingId } from '../tidy.ts';

/** VitePress over docs/: what the sidebar has, where links lead, and nothing that a browser would load from elsewhere. */

const root = path.resolve(import.meta.dirname, '../..');
const docs = path.join(root, 'docs');
/** Under which the controller serves it. */
export const BASE = '/docs/';

type Markdown = Parameters<NonNullable<MarkdownOptions['config']>>[0];
type Token = Parameters<Markdown['renderer']['render']>[0][number];

/** The sections of docs/README.md: each heading with the pages that it lists first by their own link. */
export function sidebar(index: string): DefaultTheme.SidebarItem[] {
  const listed = new Set<string>();
  return index
    .split(/^## /m)
    .slice(1)
    .map((section, at) => {
      const items = [...section.matchAll(/^- \[([^\]]+)\]\(([^)#]+)(#[^)]*)?\)/gm)].flatMap(
        ([, text = '', target = '', anchor]) => {
          const page = pageAt(path.join(docs, target));
          if (page === undefined || listed.has(page) || anchor !== undefined) return [];
          listed.add(page);
          return [{ text, link: `/${linkTo(page)}` }];
        },
      );
      const text = section.split('\n')[0] ?? '';
      return { text, items, collapsed: at > 1 };
    })
    .filter(({ items }) => items.length > 0);
}

const linkTo = (page: string): string =>
  path
    .relative(docs, page)
    .replace(/(^|\/)README\.md$/, '$1index.md')
    .replace(/\.md$/, '.html');

/** The page of the site that a link leads to: a page of docs/, or the first one of a folder. Undefined: not on the site. */
function pageAt(target: string): string | undefined {
  if (!target.startsWith(`${docs}${path.sep}`) || !existsSync(target)) return undefined;
  if (!statSync(target).isDirectory()) return target.endsWith('.md') ? target : undefined;
  const index = path.join(target, 'README.md');
  if (existsSync(index)) return index;
  const [first] = readdirSync(target)
    .filter((file) => file.endsWith('.md'))
    .toSorted();
  return first === undefined ? undefined : path.join(target, first);
}

/** Links to files outside of docs/ lead to the repository; while it has no address, their text stands without a link. */
function followLinks(md: Markdown): void {
  const { repository } = addresses();
  md.core.ruler.push('links-of-the-site', (state) => {
    const env = state.env as { path: string; realPath?: string };
    const folder = path.dirname(env.realPath ?? env.path);
    for (const { children } of state.tokens) {
      if (children === null) continue;
      const kept = linksFollowed(children, (href) => placeOf(href, folder, repository));
      children.splice(0, children.length, ...kept);
    }
  });
}

function linksFollowed(tokens: Token[], place: (href: string) => string | undefined): Token[] {
  let isDropped = false;
  return tokens.filter((token) => {
    if (token.type === 'link_open') {
      const to = place(token.attrGet('href') ?? '');
      isDropped = to === undefined;
      if (to !== undefined) token.attrSet('href', to);
      return to !== undefined;
    }
    if (token.type !== 'link_close') return true;
    return !isDropped;
  });
}

function placeOf(href: string, folder: string, repository: string): string | undefined {
  if (/^([a-z]+:|#)/.test(href)) return href;
  const [target = '', anchor] = href.split('#');
  const file = path.resolve(folder, decodeURI(target));
  const page = pageAt(file);
  const suffix = anchor === undefined ? '' : `#${anchor}`;
  if (page !== undefined) return `/${linkTo(page)}${suffix}`;
  if (repository === '') return undefined;
  const web = repository.replace(/^git\+/, '').replace(/\.git$/, '');
  return `${web}/blob/HEAD/${path.relative(root, file)}${suffix}`;
}

const escaped = (text: string): string =>
  text.replaceAll('&', '&amp;').replaceAll('<', '&lt;').replaceAll('>', '&gt;');

/** Scripts that VitePress writes into a page, as files: the controller's policy refuses scripts in a page. */
export const INLINE_SCRIPT = /<script(?![^>]*\ssrc=)([^>]*)>([\s\S]*?)<\/script>/g;

/** Commands with comments; output in columns has none, and would be hard to read in wrapped lines. */
const COMMENTED = /\S +# \S/;

export function siteConfig(): UserConfig<DefaultTheme.Config> {
  const { repository, issues } = addresses();
  const links = [
    ...(repository === '' ? [] : [{ text: 'Repository', link: repository }]),
    ...(issues === '' ? [] : [{ text: 'Report a defect', link: issues }]),
  ];
  return {
    srcDir: docs,
    base: BASE,
    title: 'Godwit',
    description: 'Live migration for virtual machines and containers',
    lang: 'en',
    metaChunk: true,
    head: [['link', { rel: 'icon', type: 'image/svg+xml', href: `${BASE}icon.svg` }]],
    // The theme's components have the same marks wherever node_modules is, so two builds are the same bytes.
    vue: {
      features: {
        componentIdGenerator: (file, source, _isProduction, hash) =>
          hash(file.slice(Math.max(0, file.lastIndexOf('node_modules/'))) + (source ?? '')),
      },
    },
    // A change of the theme would write a style into the page.
    appearance: { disableTransition: false },
    rewrites: (file) => file.replace(/(^|\/)README\.md$/, '$1index.md'),
    markdown: {
      anchor: { slugify: headingId },
      // Colours of code would be styles in a page, which the controller's policy refuses.
      highlight: (code) =>
        `<pre v-pre${COMMENTED.test(code) ? ' class="wraps"' : ''}><code>${escaped(code)}</code></pre>`,
      config: followLinks,
    },
    themeConfig: {
      nav: links,
      outline: [2, 3],
      sidebar: sidebar(readFileSync(path.join(docs, 'README.md'), 'utf8')),
      search: { provider: 'local' },
    },
  };
}
