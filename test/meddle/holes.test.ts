import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import path from 'node:path';
import { describe, test } from 'node:test';
import { holeEnvironment } from '../../hostile/holes/hole.ts';
import { MAX_RUNS, planRun } from '../../meddle/draw.ts';
import { DRILLS, isDrill, type DrillName } from '../../meddle/drills.ts';
import { canShow, HOLES } from '../../meddle/holes.ts';
import type { Plan } from '../../meddle/plan.ts';

const ROOT = path.resolve(import.meta.dirname, '../..');

describe('a known defect of the product', () => {
  for (const hole of Object.values(HOLES)) {
    test(`a known defect occurs once in ${hole.file} in its planted form: ${hole.what}`, () => {
      const source = readFileSync(path.join(ROOT, hole.file), 'utf8');
      assert.equal(source.split(hole.from).length - 1, 1, `not once: ${hole.from}`);
      assert.notEqual(hole.from, hole.to);
    });
  }

  test('an unknown defect is refused, with the names of the known ones', () => {
    assert.throws(() => holeEnvironment(HOLES, 'constructor'), /no hole constructor: choose path/);
  });
});

/** As `--runs 100 --seed SEED` plays them. */
function runsOf(seed: number): Plan[] {
  return Array.from({ length: 100 }, (_, number) => planRun(seed * MAX_RUNS + number));
}

describe('100 runs of a seed', () => {
  const MIN_RUNS = 2;

  for (const [name, hole] of Object.entries(HOLES)) {
    test(`100 runs of a seed show the defect ${name} at least ${MIN_RUNS} times, for each of 20 seeds`, () => {
      for (let seed = 1; seed <= 20; seed += 1) {
        const shown = runsOf(seed).filter((each) => canShow(hole, each));
        assert.ok(shown.length >= MIN_RUNS, `seed ${seed}: ${shown.length} of 100`);
      }
    });
  }

  test("the runs of a seed begin with another drill than the next seed's", () => {
    const first = [1, 2, 3].map((seed) => runsOf(seed)[3]?.operations[0]?.kind);
    assert.equal(new Set(first).size, first.length);
  });

  test("a quarter of a seed's runs are drills, and the others are purely random", () => {
    const isAny = (each: Plan): boolean =>
      Object.keys(DRILLS).some((name) => isDrill(name as DrillName, each));
    const runs = runsOf(1);
    assert.ok(runs.every((each, number) => number % 4 !== 3 || isAny(each)));
    assert.ok(runs.filter(isAny).length < 40);
  });
});

describe('a drill', () => {
  const [plugged] = runsOf(1).filter((each) => isDrill('plugged', each));
  assert.ok(plugged !== undefined);
  const { scene, operations } = plugged;
  const [order] = operations;
  assert.ok(order !== undefined);

  test('a run with another mode, driver, agreement or moment is not a drill, nor is a late one', () => {
    const others: readonly Plan[] = [
      { ...plugged, scene: { ...scene, mode: 'cold' } },
      { ...plugged, scene: { ...scene, driver: 'libvirt' } },
      { ...plugged, scene: { ...scene, isShareRw: true } },
      { ...plugged, scene: { ...scene, layout: 'local' } },
      { ...plugged, operations: [{ ...order, moment: 'after' }] },
      { ...plugged, operations: [{ ...order, afterMs: 500 }] },
    ];
    for (const each of others) assert.equal(isDrill('plugged', each), false);
  });

  test('a drill is hidden by an order that ends or refuses the move, and not by a quiet one', () => {
    const withOther = (kind: 'pause' | 'link-up'): Plan => {
      return { ...plugged, operations: [{ ...order, kind, moment: 'before' }, order] };
    };
    assert.equal(isDrill('plugged', withOther('pause')), false);
    assert.equal(isDrill('plugged', withOther('link-up')), true);
  });
});

describe('the witness of meddling owners', () => {
  const JUDGES = [
    'witness',
    'qmp',
    'verdict',
    'orders',
    'remains',
    'plan',
    'draw',
    'drills',
    'hands',
    'host-hands',
  ];

  test('the witness of meddling owners shares no code with the code under test', () => {
    for (const name of JUDGES) {
      const text = readFileSync(path.join(ROOT, 'meddle', `${name}.ts`), 'utf8');
      assert.doesNotMatch(text, /from '\.\.\/src\//, name);
    }
  });
});
