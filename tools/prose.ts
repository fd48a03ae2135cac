/**
 * Counts the phrases and names that make the project's English hard to read, and compares the counts with `prose-baseline.json`.
 *
 *   node tools/prose.ts              exits with 1 if a count rose, and prints the new hits
 *   node tools/prose.ts --list RULE  prints every hit of a rule
 *   node tools/prose.ts --update     lowers the baseline to the present counts; a count is never raised
 *
 * A count fails only if both the hits and the hits per 1,000 words rose: deleting good text is allowed, and so is one hit in
 * much new text. The patterns find about half of the bad sentences and a few good ones. A reviewer finds the other half.
 */
import { execFileSync } from 'node:child_process';
import { readFileSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { treeAt, type Tree } from './tidy.ts';

/** A sentence or a name, and its place. */
export interface Passage {
  readonly file: string;
  readonly line: number;
  readonly text: string;
}

export interface Rule {
  readonly name: string;
  readonly suggestion: string;
  readonly hits: (text: string) => number;
}

/** Passages of one kind. A corpus of names is measured per 1,000 names, the others per 1,000 words. */
export interface Corpus {
  readonly name: string;
  readonly isNames: boolean;
  readonly passages: readonly Passage[];
  readonly rules: readonly Rule[];
}

export interface Measure {
  readonly hits: number;
  readonly per1000: number;
}

/** Corpus, then rule. */
export type Measures = Readonly<Record<string, Readonly<Record<string, Measure>>>>;

const pattern = (name: string, suggestion: string, expression: RegExp): Rule => ({
  name,
  suggestion,
  hits: (text) => text.match(expression)?.length ?? 0,
});

const BARE_STARTS =
  'Of|Its|Their|Theirs|Those|These|That|Which|Whose|Whom|Than|As|By|For|From|With|So|Else|What|Whether|Where|Who|Why|Also';
const bareStart = pattern(
  'bare-start',
  'start with the subject or a verb',
  new RegExp(`^(?:${BARE_STARTS})\\b(?![^.?!]*\\?)`, 'g'),
);
/** Pages start many good sentences with "For", "With" or "As". */
const pageBareStart = pattern(
  'bare-start',
  'start with the subject or a verb',
  /^(?:Of|Its|Theirs|Those|Than|Else)\b(?![^.?!]*\?)/g,
);
const LANGUAGE: readonly Rule[] = [
  pattern(
    'no-noun',
    'is not a …',
    /(?<![Tt]here )\b(?:is|are|was|were) no (?!longer|more|less|fewer|other|one\b|doubt|such|need|way\b|reason)[a-z]+/g,
  ),
  pattern('that-of', 'repeat the noun', /\b(?:that|those|the ones?) of\b/g),
  pattern(
    'prep-which',
    'split the sentence, or use "that … on"',
    /\b(?:of|from|to|in|at|by|with|on|over|for|under|after) (?:which|whose|whom)\b/g,
  ),
  pattern(
    'where-if',
    '"if" or "when"; "where" is for places',
    /\b[Ww]here (?:it|there|that|no|not|nobody|nothing|none|one|they|this|these|both|neither)\b|\b[Ww]here (?:an?|the) [\w’'-]+ (?:is|are|has|have|does|do|may|can|was|were)\b/g,
  ),
  pattern(
    'what-noun',
    'name the thing',
    /\b(?:of|by|with|for|from|than|as|and|but|on|to|in|at|shows?|says?|has|have|see|sees|names?|knows?|keeps?|holds?) what (?!is wrong|is missing)/g,
  ),
  pattern(
    'odd-word',
    "the field's word: again, calculate, next to, instead of, continue, keep running, restore, at least, the operator, no host",
    /\b(?:anew|besides|beside|to and fro|there and back|in place of|reckon\w*|whoever|whomever|heeds?|the like of|such a one|lies? (?:in|on|at|below|beside|there|where)|stands? (?:below|beside|there|in the way)|goes? by|go on|goes on|runs? on|let in|lets? (?:it|guests?|them) (?:in|come)|takes? (?:it|them|the guest|the host) (?:back|away|over)|took part|the (?:greatest|most|least)|at the least|somebody|nobody|such as it)\b/gi,
  ),
  pattern(
    'mental-verb',
    'programs report, return, require or detect',
    /\b(?:agent|QEMU|host|daemon|libvirt|guest|mover|report|plan|check|kernel|CA|list|cache|controller|manager|driver|link|destination|source|build|wire|steering|policy|vCenter|Hyper-V|hypervisor|monitor|relay|page|file|row|table)s? (?:also |then |itself |still |only |not )?(?:says?|said|knows?|knew|tells?|told|hears?|heard|believes?|learns?|wants?|remembers?|forgets?|judges?|wonders?)\b/g,
  ),
  bareStart,
  pattern(
    'also-when',
    '"even if" or "including"',
    /\balso (?:when|if|where|while|after|before|for|by|in|on|at|to|of|from|with|without|over)\b/g,
  ),
  pattern(
    'own',
    '"separate" or "dedicated", or delete it',
    /\bof (?:its|their|his|one’s|one's) own\b|['’]s own\b/g,
  ),
  {
    name: 'long',
    suggestion: 'more than 30 words or two semicolons: split the sentence',
    hits: (text) => (text.split(/\s+/).length > 30 || text.split(';').length > 2 ? 1 : 0),
  },
  {
    name: 'mark-unit',
    suggestion: "write ' for the apostrophe, and sizes and durations for people",
    hits: (text) => (/’|\{\w*Bytes\} bytes|\{\w*Ms\} ms/.test(text) ? 1 : 0),
  },
];

const VERBS =
  'arrive|ask|become|begin|bring|carry|carrie|come|compare|compresse|exclude|fail|find|forget|gain|get|give|go|goe|hold|install|keep|know|lack|last|learn|leave|let|lie|lose|make|miss|need|offer|open|outlive|pass|passe|prove|put|read|refuse|reject|remove|replace|resume|say|see|send|settle|serve|share|stand|stay|suggest|take|tell|try|trie|undoe|unmount|wake|warn|write';
/** Verbs that are nouns as well; a noun is followed by another verb or a preposition. */
const NOUN_VERBS =
  'answer|bound|check|close|copie|cover|draw|end|fill|fit|follow|hide|lead|list|look|move|name|notice|pause|place|print|release|report|run|show|start|stop|touch|travel|turn|wait|walk|want|work';
const AUXILIARIES =
  'is|are|was|were|has|have|had|does|do|did|may|can|cannot|must|would|will|never|not|and|it|they|whatever|whoever';
const TEST_STARTS = new RegExp(
  `^(?:${BARE_STARTS}|${AUXILIARIES}|(?:${VERBS})s?|(?:${NOUN_VERBS})s?(?! (?:of|are|is|have|has|that|which|may|can|cannot|were|was|in|on|at|from)\\b))\\b`,
  'gi',
);
const PARTICIPLES =
  /^(?:(?!Hundred$|Shed$|Embed$)[A-Z][a-z]*[^e]ed|Begun|Borne|Bought|Bound|Broken|Brought|Built|Caught|Chosen|Done|Drawn|Driven|Fallen|Felt|Forgotten|Found|Given|Gone|Grown|Heard|Held|Hidden|Kept|Known|Laid|Led|Left|Lent|Lost|Made|Meant|Met|Paid|Put|Said|Seen|Sent|Shown|Spent|Spoken|Taken|Thought|Thrown|Told|Understood|Won|Written)$/g;
const NAME_RULES = {
  'comment starts': { ...bareStart, name: 'no-subject' },
  'test starts': pattern('no-subject', 'give the test name its own subject', TEST_STARTS),
  types: pattern('participle', 'a type is named by a noun, such as AdmissionRequest', PARTICIPLES),
  constants: pattern('most-least', 'MAX_ or MIN_', /^(?:MOST|LEAST)_/g),
  functions: pattern('of-suffix', 'a verb or a plain noun says the same', /Of$/g),
} as const;

const plain = (text: string): string =>
  text
    .replaceAll(/\[([^\]]*)\]\([^)]*\)/g, '$1')
    .replaceAll(/`[^`]*`/g, 'X')
    .replaceAll('**', '');
const sentences = (text: string): string[] => text.split(/(?<=[.!?])\s+(?=[A-Z`*(])/);
const lineAt = (text: string, index: number): number => text.slice(0, index).split('\n').length;

function pagePassages(file: string, text: string): Passage[] {
  let isCode = false;
  return text.split('\n').flatMap((line, index) => {
    if (/^\s*```/.test(line)) isCode = !isCode;
    else if (!isCode && !/^(?:#|\s*\|\s*-)/.test(line)) {
      const cells = line.startsWith('|') ? line.split('|') : [line];
      return cells
        .flatMap((cell) => sentences(plain(cell).replaceAll(/^[\s*-]+|^\d+\. /g, '')))
        .filter((each) => each.split(' ').length > 2)
        .map((each) => ({ file, line: index + 1, text: each.trim() }));
    }
    return [];
  });
}

const STRING = /(['"])((?:(?!\1)[^\\\n]|\\.){15,}?)\1/g;
const MARKUP = />([A-Z][^<>{}\n]{14,})</g;
/** Texts of at least three words; shorter ones are names. */
const stringPassages = (file: string, text: string, expression: RegExp): Passage[] =>
  [...text.matchAll(expression)].flatMap((match) => {
    const found = match[2] ?? match[1] ?? '';
    if (!/ .* /.test(found)) return [];
    return [{ file, line: lineAt(text, match.index), text: plain(found) }];
  });

/** The arguments of calls of a log, up to the end of the statement. */
const logPassages = (file: string, text: string): Passage[] =>
  [...text.matchAll(/\blog\.(?:debug|info|warn|error)\(([\s\S]*?)\);/gi)].flatMap((call) =>
    [...(call[1] ?? '').matchAll(/(['"`])((?:(?!\1)[^\\]|\\.)*?)\1/g)]
      .map((each) => each[2] ?? '')
      .filter((each) => each.includes(' '))
      .map((each) => ({ file, line: lineAt(text, call.index), text: plain(each) })),
  );

const comments = (file: string, text: string): Passage[] =>
  [...text.matchAll(/\/\*\*?([\s\S]*?)\*\/|(?:^|\n)\s*\/\/ (.*)/g)].map((match) => ({
    file,
    line: lineAt(text, match.index) + (match[2] === undefined ? 0 : 1),
    text: plain((match[1] ?? match[2] ?? '').replaceAll(/\n\s*\* ?/g, ' ').trim()),
  }));
const commentSentences = (file: string, text: string): Passage[] =>
  comments(file, text).flatMap((comment) =>
    sentences(comment.text)
      .filter((each) => each.length > 25)
      .map((each) => ({ ...comment, text: each })),
  );

/** The first group of the expression that matched. */
const namePassages = (file: string, text: string, expression: RegExp): Passage[] =>
  [...text.matchAll(expression)].map((match) => ({
    file,
    line: lineAt(text, match.index + match[0].length),
    text: match.slice(1).find((group) => group !== undefined) ?? '',
  }));
const TYPE = /^(?:export )?(?:type|interface|(?:abstract )?class) ([A-Z]\w*)/gm;
const CONSTANT = /^\s*(?:export )?const ([A-Z][A-Z\d_]+)\b/gm;
const FUNCTION =
  /\bfunction\*? (\w+)\b|\bconst (\w+)\b(?:: [^=\n]+)? = (?:async )?(?:<|\(|\w+ =>)/g;
const TEST = /(?:^|[\s;])(?:test|it)\(\s*(?:'((?:[^'\\]|\\.)*)'|"([^"]*)"|`([^`]*)`)/g;

/** Every corpus of the project. */
export function corporaOf(tree: Tree): Corpus[] {
  const collect = (
    files: RegExp,
    read: (file: string, text: string) => Passage[],
    except = /^$/,
  ): Passage[] =>
    tree.files
      .filter((file) => files.test(file) && !except.test(file))
      .flatMap((file) => read(file, tree.text(file)));
  const strings = (file: string, text: string): Passage[] => stringPassages(file, text, STRING);
  const named = (expression: RegExp) => (file: string, text: string) =>
    namePassages(file, text, expression);

  const notes = /^(?:bench\/results|decisions)\/.*\.md$/;
  const pages =
    /^(?:README|CONTRIBUTING|ARCHITECTURE|test\/(?:failures|security-claims)|(?:demo|bench|examples\/client|faults|hostile|lab|meddle|sim|test\/model|tools\/gpu-check|src\/.*)\/README)\.md$|^docs\/.*\.md$/;
  const program = /^(?:src\/.*\.ts|web\/src\/.*\.tsx?)$/;
  const code = /\.tsx?$/;
  const fixture = /^test\/fixtures\//;
  const tests = collect(/^test\/.*\.ts$/, named(TEST), fixture);
  const generated = /^docs\/(?:.*\/)?(?:cli|errors)\.md$|template/;
  const prose: Readonly<Record<string, readonly Passage[]>> = {
    pages: collect(pages, pagePassages, generated),
    notes: collect(notes, pagePassages, generated),
    messages: collect(/^src\/errors\/.*\.ts$/, strings),
    help: collect(/^src\/cli\/.*\.ts$/, strings),
    log: collect(/^src\/.*\.ts$/, logPassages),
    dashboard: collect(/^web\/src\/.*\.tsx$/, (file, text) => [
      ...stringPassages(file, text, STRING),
      ...stringPassages(file, text, MARKUP),
    ]),
    comments: collect(program, commentSentences),
    tests,
  };
  const names: Readonly<Record<keyof typeof NAME_RULES, readonly Passage[]>> = {
    'comment starts': collect(program, comments),
    'test starts': tests,
    types: collect(code, named(TYPE), fixture),
    constants: collect(code, named(CONSTANT), fixture),
    functions: collect(program, named(FUNCTION)),
  };
  return [
    ...Object.entries(prose).map(([name, passages]) => ({
      name,
      isNames: false,
      passages,
      rules: LANGUAGE.map((rule) =>
        rule === bareStart && name === 'pages' ? pageBareStart : rule,
      ).filter((rule) => rule !== bareStart || name !== 'tests'),
    })),
    ...Object.entries(NAME_RULES).map(([name, rule]) => ({
      name,
      isNames: true,
      passages: names[name as keyof typeof NAME_RULES],
      rules: [rule],
    })),
  ];
}

/** Hits of a corpus's rules, and how many there are per 1,000 words or names. */
export function measure(corpora: readonly Corpus[]): Measures {
  return Object.fromEntries(
    corpora.map(({ name, isNames, passages, rules }) => {
      const words = (text: string): number => (isNames ? 1 : text.split(/\s+/).length);
      const size = Math.max(
        1,
        passages.reduce((sum, each) => sum + words(each.text), 0),
      );
      const measures = rules.map((rule) => {
        const hits = passages.reduce((sum, each) => sum + rule.hits(each.text), 0);
        return [rule.name, { hits, per1000: Number(((1000 * hits) / size).toFixed(4)) }];
      });
      return [name, Object.fromEntries(measures) as Record<string, Measure>];
    }),
  );
}

export interface Rise {
  readonly corpus: string;
  readonly rule: string;
  readonly now: Measure;
  readonly before: Measure;
}

const ZERO: Measure = { hits: 0, per1000: 0 };

/** Measures of which both numbers are above the baseline. A measure that the baseline lacks must be added to it. */
export function risesAbove(baseline: Measures, now: Measures): Rise[] {
  return Object.entries(now).flatMap(([corpus, rules]) =>
    Object.entries(rules).flatMap(([rule, each]) => {
      const before = baseline[corpus]?.[rule] ?? ZERO;
      const isAbove = each.hits > before.hits && each.per1000 > before.per1000;
      return isAbove ? [{ corpus, rule, now: each, before }] : [];
    }),
  );
}

/** The baseline with every number that fell. Measures without a baseline enter it, and those that are gone leave it. */
export function lowered(baseline: Measures, now: Measures): Measures {
  const lower = (corpus: string, rule: string, each: Measure): Measure => {
    const before = baseline[corpus]?.[rule] ?? each;
    return {
      hits: Math.min(before.hits, each.hits),
      per1000: Math.min(before.per1000, each.per1000),
    };
  };
  return Object.fromEntries(
    Object.entries(now).map(([corpus, rules]) => [
      corpus,
      Object.fromEntries(
        Object.entries(rules).map(([rule, each]) => [rule, lower(corpus, rule, each)]),
      ),
    ]),
  );
}

/** One line for each hit of a rule: place, corpus, rule, suggestion and text. */
export function hitLines(
  corpora: readonly Corpus[],
  isWanted: (corpus: string, rule: string, passage: Passage) => boolean,
): string[] {
  return corpora.flatMap(({ name, passages, rules }) =>
    rules.flatMap((rule) =>
      passages
        .filter((each) => isWanted(name, rule.name, each) && rule.hits(each.text) > 0)
        .map(
          ({ file, line, text }) =>
            `${file}:${line} ${name} ${rule.name} (${rule.suggestion}): ${text.slice(0, 120)}`,
        ),
    ),
  );
}

const root = path.resolve(import.meta.dirname, '..');
const BASELINE = 'tools/prose-baseline.json';
const MAX_LINES_OF_RISE = 15;

/** Accepts lines that were added since the commit that last changed the baseline. */
function newLines(): (passage: Passage) => boolean {
  const git = (...args: string[]): string =>
    execFileSync('git', args, { cwd: root, encoding: 'utf8', maxBuffer: 1 << 28 });
  const since = git('log', '-1', '--format=%H', '--', BASELINE).trim() || 'HEAD';
  const lines = new Set<string>();
  let file = '';
  for (const line of git('diff', '-U0', '--no-prefix', since).split('\n')) {
    if (line.startsWith('+++ ')) file = line.slice(4);
    const [, first, count = '1'] = /^@@ .* \+(\d+)(?:,(\d+))? @@/.exec(line) ?? [];
    for (let n = 0; first !== undefined && n < Number(count); n += 1) {
      lines.add(`${file}:${Number(first) + n}`);
    }
  }
  const untracked = new Set(git('ls-files', '-o', '--exclude-standard').split('\n'));
  return (each) => lines.has(`${each.file}:${each.line}`) || untracked.has(each.file);
}

function main(args: readonly string[]): number {
  const corpora = corporaOf(treeAt(root));
  const [option, wanted] = args;
  if (option === '--list') {
    for (const line of hitLines(corpora, (_corpus, rule) => rule === wanted)) console.log(line);
    return 0;
  }
  const baseline = JSON.parse(readFileSync(path.join(root, BASELINE), 'utf8')) as Measures;
  const now = measure(corpora);
  if (option === '--update') {
    const text = JSON.stringify(lowered(baseline, now), undefined, 2);
    const oneLineEach = text.replaceAll(
      /\{\s*("hits": \d+),\s*("per1000": [\d.]+)\s*\}/g,
      '{ $1, $2 }',
    );
    writeFileSync(path.join(root, BASELINE), `${oneLineEach}\n`);
  }
  const rises = risesAbove(baseline, now).filter(
    ({ corpus, rule }) => option !== '--update' || baseline[corpus]?.[rule] !== undefined,
  );
  if (rises.length === 0) return 0;
  const isNew = newLines();
  for (const { corpus, rule, now: is, before } of rises) {
    console.error(
      `prose: ${corpus}, ${rule}: ${is.hits} hits (${is.per1000} per 1,000), and at most ${before.hits} (${before.per1000}) are allowed`,
    );
    const lines = hitLines(corpora, (c, r, each) => c === corpus && r === rule && isNew(each));
    for (const line of lines.slice(0, MAX_LINES_OF_RISE)) console.error(`  ${line}`);
    if (lines.length > MAX_LINES_OF_RISE) {
      console.error(`  and ${lines.length - MAX_LINES_OF_RISE} more`);
    }
  }
  console.error('Rewrite these passages, or see all with: node tools/prose.ts --list RULE');
  return 1;
}

if (import.meta.main) process.exitCode = main(process.argv.slice(2));
