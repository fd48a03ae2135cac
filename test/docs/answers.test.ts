import assert from 'node:assert/strict';
import { existsSync, readFileSync } from 'node:fs';
import path from 'node:path';
import { test } from 'node:test';
import { headingId } from '../../tools/tidy.ts';

const START = 'docs/README.md';

interface Question {
  /** The page, and the heading if it is a part of the page. */
  readonly at: string;
  /** Each is a part of a complete answer. */
  readonly answer: readonly RegExp[];
}

const QUESTIONS: Readonly<Record<string, Question>> = {
  'drain a host': {
    at: 'docs/tasks.md#maintenance-of-a-host',
    answer: [/godwit drain a --dry-run/, /godwit drain a\b/, /godwit undrain a/, /Without one/],
  },
  'cost of a move': {
    at: 'docs/prediction.md#a-plan',
    answer: [/--dry-run/, /downtime/, /bytes|MiB/],
  },
  'death of the destination': {
    at: 'docs/failing.md#by-what-died-and-when',
    answer: [/destination's QEMU/, /destination's host/, /exit code 5/, /`held` \(7\)/, /fencing/],
  },
  ports: { at: 'docs/ports.md', answer: [/7443/, /49152 to 49407/, /32768 to 60999/, /libvirt/] },
  upgrade: {
    at: 'docs/upgrade.md',
    answer: [/apt install/, /Stop all controllers/, /## Go back/, /## Version policy/],
  },
  encryption: {
    at: 'docs/faq.md#running-it',
    answer: [/TLS 1\.3/, /certificates on both sides/, /encrypt nothing/],
  },
  versions: { at: 'docs/support.md', answer: [/QEMU \| 7\.2/, /libvirt \| 9\.0/, /6\.5/, /KVM/] },
  'Proxmox VE': {
    at: 'docs/comparison.md',
    answer: [/Proxmox VE/, /second QMP socket/, /does not learn of the move/],
  },
  abort: {
    at: 'docs/tasks.md#cancel-or-bring-back',
    answer: [/godwit cancel/, /--roll-back/, /point of no return/],
  },
  'remove a host': {
    at: 'docs/tasks.md#remove-a-host-for-good',
    answer: [/godwit drain c/, /godwit pki remove c/, /rotate-secret/],
  },
  'dead host': {
    at: 'docs/tasks.md#guests-of-a-host-that-died',
    answer: [/godwit resolve/, /godwit recover a/, /fencing/, /Make sure that the host is off/],
  },
  'report a vulnerability': {
    at: 'docs/reporting.md#a-vulnerability',
    answer: [/in private/, /godwit version/, /revoke/],
  },
};

/** The pages of docs/ that a page links to. */
function linkedFrom(page: string): string[] {
  const links = [...readFileSync(page, 'utf8').matchAll(/\]\(([^)#\s]+\.md)[^)]*\)/g)];
  return links
    .map(([, target = '']) => path.posix.join(path.posix.dirname(page), target))
    .filter((target) => target.startsWith('docs/') && existsSync(target));
}

/** The text below a heading of any level up to the next one of that level, or the whole page. */
function textAt(place: string): string {
  const [page = '', anchor] = place.split('#');
  const text = readFileSync(page, 'utf8');
  if (anchor === undefined) return text;
  const lines = text.split('\n');
  const levelOf = (line: string): number => /^#+(?= )/.exec(line)?.[0].length ?? 9;
  const from = lines.findIndex(
    (line) => levelOf(line) < 9 && headingId(line.replace(/^#+ /, '')) === anchor,
  );
  assert.ok(from >= 0, `${place} is not a heading`);
  const level = levelOf(lines[from] ?? '');
  const after = lines.slice(from + 1);
  const end = after.findIndex((line) => levelOf(line) <= level);
  return after.slice(0, end < 0 ? after.length : end).join('\n');
}

const first = linkedFrom(START);
const second = new Set([...first, ...first.flatMap(linkedFrom)]);

test('twelve questions of operators have a complete answer within two pages of the start page', () => {
  assert.equal(Object.keys(QUESTIONS).length, 12);
  for (const [question, { at, answer }] of Object.entries(QUESTIONS)) {
    const [page = ''] = at.split('#');
    assert.ok(second.has(page), `${question}: ${page} is not within two pages of ${START}`);
    const text = textAt(at);
    for (const part of answer) assert.match(text, part, `${question}: ${at}`);
  }
});

test('the page of questions and answers names each of them', () => {
  const faq = linkedFrom('docs/faq.md');
  for (const [question, { at }] of Object.entries(QUESTIONS)) {
    const [page = ''] = at.split('#');
    const isThere = page === 'docs/faq.md' || page === 'docs/comparison.md' || faq.includes(page);
    assert.ok(isThere, question);
  }
});
