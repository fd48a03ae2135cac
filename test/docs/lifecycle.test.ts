import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import path from 'node:path';
import { describe, test } from 'node:test';
import {
  beginMove,
  canCancel,
  decideMove,
  diskMovePlan,
  type MoveSight,
  type Stage,
} from '../../src/migration/disk-move.ts';
import {
  destinationAfter,
  initialDestination,
  judgeCall,
  type DestinationCall,
  type DestinationEvent,
} from '../../src/migration/direct/destination/destination.ts';
import {
  ROWS,
  ROW_NAMES,
  type RowName,
} from '../../src/migration/direct/destination/destination-rows.ts';
import { undoMs } from '../../src/migration/direct/source/ending-times.ts';
import { STEPS, STEP_NAMES, type StepName } from '../../src/migration/direct/source/steps.ts';
import { MAX_ATTEMPTS } from '../../src/migration/engine/rows.ts';
import * as managed from '../../src/migration/managed/events.ts';
import {
  CANCEL_MS,
  MISSES,
  pauseMs,
  STEPS as MANAGED_STEPS,
  SURE,
  UNDO_MS,
} from '../../src/migration/managed/lifecycle.ts';
import { destinationStatus } from '../../src/protocol/peer/migration.ts';
import { phase } from '../../src/protocol/public/migration.ts';
import { driveUntil, settle } from '../migration/direct/drive.ts';
import { askedFor, isDoing, isOfDisks } from '../migration/direct/endings.ts';
import { errorOf, planned, preparationOf } from '../migration/direct/samples.ts';
import { World } from '../migration/direct/world.ts';

const docs = path.resolve(import.meta.dirname, '../../docs');
const page = readFileSync(path.resolve(docs, '../src/migration/README.md'), 'utf8');
const managedPage = readFileSync(path.join(docs, 'drivers/managed.md'), 'utf8');

/** The text of a section, up to the next heading. */
function section(text: string, heading: string): string {
  const [, after = ''] = text.split(`\n## ${heading}\n`);
  return after.split(/\n##? /)[0] ?? '';
}

/** The rows of a section's table whose first cell is code, cell by cell. */
function rowsOf(text: string, heading: string): string[][] {
  return section(text, heading)
    .split('\n')
    .filter((line) => line.startsWith('| `'))
    .map((line) => line.slice(2, -2).split(' | '));
}

const rows = rowsOf(page, 'Steps');

const DEADLINES: Readonly<Record<string, string>> = {
  timeout: '`timeout`',
  asked: 'the moment asked for',
};

const inWords = (deadline: number | string): string =>
  DEADLINES[deadline] ?? `${Number(deadline) / 1000} s`;

/** The row of the page that the code makes, without its last cell. */
function rowOf(name: StepName): string[] {
  const { phase: at, does, endsBy, deadline, undo, noUndo } = STEPS[name];
  const over = endsBy === 'handler' ? 'it is done' : 'the hypervisor says so';
  return [`\`${name}\``, at, does, over, inWords(deadline), undo ?? `none: ${noUndo}`];
}

function destinationRowOf(name: RowName): string[] {
  const { call, does, record, unrecorded, undo, noUndo, settle = '' } = ROWS[name];
  const none = unrecorded === undefined ? '' : `none: ${unrecorded}`;
  const recorded = record === undefined ? none : `\`${record}\``;
  return [`\`${name}\``, `\`${call}\``, does, recorded, undo ?? `none: ${noUndo}`, settle];
}

function managedRowOf(name: managed.StepName): string[] {
  const { phase: at, does, endsBy, deadlineMs, undo, noUndo } = MANAGED_STEPS[name];
  const over = endsBy === 'handler' ? 'it is done' : 'the manager’s answer decides';
  return [`\`${name}\``, at, does, over, inWords(deadlineMs), undo ?? `none: ${noUndo}`];
}

/** What a migration ends as when that step always fails. */
function outcomeOfFailing(name: StepName): string {
  const mode = name === 'drain' ? 'postcopy' : 'precopy';
  const world = new World(planned({ mode, ...askedFor(name) }), isOfDisks(name));
  driveUntil(world, isDoing(name));
  for (let count = 0; count < MAX_ATTEMPTS && isDoing(name)(world); count += 1) {
    world.answer('before', errorOf());
  }
  settle(world);
  return world.outcome;
}

const plan = planned();
const { epoch } = plan;
const admission = {
  id: plan.id,
  guest: plan.guest,
  from: plan.from,
  epoch,
  memoryBytes: 1,
  timeoutMs: 1,
};
const HANDLE = { driver: 'fake', name: plan.guest };
const PREPARED: readonly DestinationEvent[] = [
  { type: 'preparing', preparation: preparationOf(plan), ports: {} },
  { type: 'prepared', handle: HANDLE, memoryAddress: '10.0.0.2:1' },
];
const ARMED: readonly DestinationEvent[] = [
  ...PREPARED,
  { type: 'armed', epoch, bootId: 'boot-1' },
];
const RUNNING: readonly DestinationEvent[] = [
  ...ARMED,
  { type: 'committed', epoch },
  { type: 'running', epoch, resumeMs: 1 },
];
const REFUSED: readonly DestinationEvent[] = [...ARMED, { type: 'refused', epoch, why: '' }];
/** The columns of the page's table of calls, and the records that lead there. */
const PLACES: Readonly<Record<string, readonly DestinationEvent[]>> = {
  admitted: [],
  prepared: PREPARED,
  armed: ARMED,
  'armed, host restarted': [...ARMED, { type: 'taken-over', pid: 1, neverRan: false }],
  running: RUNNING,
  refused: REFUSED,
  released: [...REFUSED, { type: 'released' }],
  finished: [...RUNNING, { type: 'finished' }],
};
const CALLS = Object.keys({
  assess: 0,
  seed: 0,
  prepare: 0,
  arm: 0,
  commit: 0,
  refuse: 0,
  media: 0,
  disks: 0,
  compare: 0,
  recover: 0,
  release: 0,
  'tear-down': 0,
  finish: 0,
} satisfies Record<DestinationCall, 0>) as DestinationCall[];
const ANSWERS = { go: 'yes', already: 'again', no: 'no' } as const;

function answersTo(call: DestinationCall): string[] {
  return Object.values(PLACES).map((events) => {
    const first = initialDestination({ type: 'admitted', admission, host: plan.to });
    return ANSWERS[judgeCall(events.reduce(destinationAfter, first), call, epoch).kind];
  });
}

const moved = beginMove(
  diskMovePlan.parse({
    id: 'd-0123456789ab',
    request: { guest: 'db1', disk: 'disk0', to: '/srv/fast/' },
    handle: HANDLE,
    createdAt: '2026-11-20T20:00:00.000Z',
    from: '/srv/slow/disk0.raw',
    identity: '1:2',
    to: '/srv/fast/disk0.raw',
    directories: [],
    work: {},
  }),
);
const STAGES = ['copying', 'switching', 'tidying', 'undoing'] as const satisfies Stage[];
const JOBS = ['none', 'copying', 'ready', 'ending', 'pending', 'ended', 'failed'] as const;
const BOTH = [false, true];

/** All that may follow in a stage, by what else is seen. */
function deedsIn(stage: Stage, seen: Pick<MoveSight, 'hypervisor' | 'on' | 'job'>): string {
  const deeds = [0, MAX_ATTEMPTS].flatMap((attempts) =>
    BOTH.flatMap((open) =>
      BOTH.flatMap((nearly) =>
        BOTH.map((isWriteBlocking) =>
          decideMove({ ...moved, stage, attempts }, { ...seen, open, nearly, isWriteBlocking }),
        ),
      ),
    ),
  );
  return [...new Set(deeds)].toSorted().join(' or ');
}

function deedRows(): string[][] {
  const gone = { hypervisor: 'gone', on: 'neither', job: 'none' } as const;
  const lives = { hypervisor: 'lives', job: 'none' } as const;
  const seen: [string, Pick<MoveSight, 'hypervisor' | 'on' | 'job'>][] = [
    ['gone', gone],
    ['neither', { ...lives, on: 'neither' }],
    ['new', { ...lives, on: 'new' }],
    ...JOBS.map((job): (typeof seen)[number] => [job, { ...lives, on: 'old', job }]),
  ];
  return seen.map(([name, sight]) => [
    `\`${name}\``,
    ...STAGES.map((stage) => deedsIn(stage, sight)),
  ]);
}

describe('docs/lifecycle.md', () => {
  test('the page has the present table of steps', () => {
    assert.deepEqual(
      rows.map((row) => row.slice(0, -1)),
      STEP_NAMES.map(rowOf),
    );
  });

  test('the page names the error exit of each step', () => {
    for (const [index, name] of STEP_NAMES.entries()) {
      assert.match(rows[index]?.at(-1) ?? '', new RegExp(`\`${outcomeOfFailing(name)}\``), name);
    }
  });

  test('the page draws every phase of a migration', () => {
    const drawing = /```\n([\s\S]*?)```/.exec(page)?.[1] ?? '';
    const shown = phase.options.filter((one) => one !== 'planned' && one !== 'lost');
    for (const one of shown) assert.match(drawing, new RegExp(`\\b${one}\\b`));
  });

  test('the page names the further actions of a step, and the number of attempts', () => {
    const text = section(page, 'Steps');
    assert.match(text, new RegExp(`An undo\\*\\* may take ${undoMs({ known: {} }) / 1000} s`));
    const perGib =
      undoMs({ known: { description: { memoryBytes: 1024 ** 3 } } }) - undoMs({ known: {} });
    assert.equal(perGib, 1000);
    assert.match(text, /and a second more for each GiB/);
    assert.equal(MAX_ATTEMPTS, 3);
    assert.match(text, /tries it three times/);
    assert.match(text, /tries each step three times/);
  });

  test("the page has the destination's answer to each call in each state", () => {
    const [header = ''] = section(page, 'The destination')
      .split('\n')
      .filter((line) => line.startsWith('| call'));
    assert.equal(header, `| call | ${Object.keys(PLACES).join(' | ')} |`);
    assert.deepEqual(
      rowsOf(page, 'The destination'),
      CALLS.map((call) => [`\`${call}\``, ...answersTo(call)]),
    );
  });

  test('the page has the resources that a destination creates, row by row', () => {
    assert.deepEqual(rowsOf(page, 'What the destination makes'), ROW_NAMES.map(destinationRowOf));
  });

  test('the page has the next action of a disk move for each stage and observation', () => {
    const text = section(page, 'A disk move on one host');
    const [header = ''] = text.split('\n').filter((line) => line.startsWith('| seen'));
    assert.equal(header, `| seen | ${STAGES.join(' | ')} |`);
    assert.deepEqual(rowsOf(page, 'A disk move on one host'), deedRows());
    const drawing = /```\n([\s\S]*?)```/.exec(text)?.[1] ?? '';
    for (const stage of STAGES) assert.match(drawing, new RegExp(`\\b${stage}\\b`));
    const cancellable = STAGES.filter((stage) => canCancel({ stage })).map(
      (stage) => `\`${stage}\``,
    );
    assert.ok(text.includes(`A cancel is accepted in ${cancellable.join(' and ')}.`));
  });
});

describe('docs/drivers/managed.md', () => {
  const heading = 'The life of a managed migration';

  test('the managed page has the present table of steps', () => {
    assert.deepEqual(rowsOf(page, heading), managed.STEP_NAMES.map(managedRowOf));
  });

  test('the managed page draws every step', () => {
    const drawing = /```\n([\s\S]*?)```/.exec(section(managedPage, heading))?.[1] ?? '';
    for (const step of managed.STEP_NAMES) assert.match(drawing, new RegExp(`\\b${step}\\b`));
  });

  test('the managed page names the times and attempts of the code', () => {
    assert.equal(MAX_ATTEMPTS, 3);
    assert.deepEqual(
      [1, 2].map((attempts) => pauseMs({ attempts })),
      [1000, 2000],
    );
    assert.match(managedPage, /three times, with pauses of 1 s and 2 s/);
    assert.match(managedPage, new RegExp(`for at most ${CANCEL_MS / 1000} s\\.`));
    assert.equal(UNDO_MS, 120_000);
    assert.match(managedPage, /It tries for two minutes/);
    assert.equal(MISSES, 20);
    assert.match(managedPage, /Godwit looks for it for 10 s/);
    assert.equal(SURE, 2);
    assert.match(managedPage, /says twice that the guest is at the source/);
  });
});

describe('the page of each lifecycle', () => {
  const states = destinationStatus.shape.state.options;
  const pages: Readonly<Record<string, readonly string[]>> = {
    'direct/source/steps.ts': STEP_NAMES,
    'direct/destination/destination.ts': states,
    'direct/destination/destination-rows.ts': ROW_NAMES,
    'managed/lifecycle.ts': managed.STEP_NAMES,
    'disk-move.ts': STAGES,
  };
  const source = path.resolve(docs, '../src/migration');

  for (const [file, names] of Object.entries(pages)) {
    test(`the diagram at the top of ${file} has all states of its lifecycle`, () => {
      const text = readFileSync(path.join(source, file), 'utf8');
      const [drawing = ''] = text.split('*/').filter((comment) => comment.includes('->'));
      assert.deepEqual(
        names.filter((name) => !new RegExp(`\\b${name}\\b`).test(drawing)),
        [],
      );
    });
  }
});
