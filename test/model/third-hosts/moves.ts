import {
  destinationRightAfter,
  sourceRightAfter,
} from '../../../src/migration/direct/run-right.ts';
import type { Claim } from '../../../src/migration/permission/permission.ts';
import { gather, hostsInDoubt, isGranted, seenAt, type Asking } from './asking.ts';
import { resolving } from './resolving.ts';
import type { Rules } from './rules.ts';
import {
  type Answer,
  type GatheredAnswers,
  type Host,
  type Move,
  type Standby,
  type World,
  HOSTS,
  MIGRATION,
  STANDBYS,
  bootName,
  pairOf,
  reaches,
  recoveryId,
  destination,
  recovery,
  running,
  source,
} from './world.ts';

/** Everything that can happen next. Where the product asks and then acts, those are two moves. */
export function movesFrom(world: World, rules: Rules): Move[] {
  return [
    ...faults(world),
    ...timePasses(world),
    ...startedByHand(world),
    ...startedByHandAtThird(world),
    ...atSource(world, rules),
    ...atDestination(world, rules),
    ...STANDBYS.flatMap((host) => atStandby(world, host, rules)),
  ];
}

function faults(world: World): Move[] {
  const back = HOSTS.filter((host) => !world.up[host]).map((host): Move => [
    `${host} is started again`,
    restarted(world, host),
  ]);
  const mended = world.cut.map((pair): Move => [
    `${pair} reach each other again`,
    { ...world, cut: world.cut.filter((each) => each !== pair) },
  ]);
  if (world.faults === 0) return [...back, ...mended];
  const faultless = { ...world, faults: world.faults - 1 };
  const { damaged, ended } = world.destination;
  return [
    ...back,
    ...mended,
    ...HOSTS.filter((host) => world.up[host]).map((host): Move => [
      `${host} loses power`,
      powerless(faultless, host),
    ]),
    ...[pairOf('a', 'b'), pairOf('a', 'c'), pairOf('b', 'c'), pairOf('c', 'd')]
      .filter((pair) => !world.cut.includes(pair))
      .map((pair): Move => [
        `${pair} are cut off`,
        { ...faultless, cut: [...world.cut, pair].toSorted() },
      ]),
    ...(damaged || ended || !world.up.b
      ? []
      : [['the request at b is damaged', destination(faultless, { damaged: true })] as const]),
  ];
}

/** Longer than a proof, an operator's word and the answers of hosts are valid. */
function timePasses(world: World): Move[] {
  if (!isAnythingFresh(world)) return [];
  const { recoveries, source: at } = world;
  const old = (host: Standby): World['recoveries'][Standby] => {
    const { stage, armedIn } = recoveries[host];
    return { stage, armedIn, ...(stage === 'proved' ? { isOld: true } : {}) };
  };
  const word = at.word && ({ ...at.word, isOld: true } as const);
  const { gathered: _, ordered, ...others } = at;
  const rest = { ...others, ...(ordered === undefined ? {} : { ordered: [] }) };
  const next = { ...world, recoveries: { b: old('b'), c: old('c'), d: old('d') }, source: rest };
  return [['a minute passes', word === undefined ? next : source(next, { word })]];
}

function isAnythingFresh({ recoveries, source: { word, gathered, ordered = [] } }: World): boolean {
  if (gathered !== undefined || (word !== undefined && word.isOld !== true)) return true;
  if (ordered.length > 0) return true;
  return STANDBYS.some((host) => {
    const { stage, isOld, gathered: answers } = recoveries[host];
    return answers !== undefined || (stage === 'proved' && isOld !== true);
  });
}

/** The owner of the guest, or a manager, starts it at its host, which is on again, as it runs nowhere. */
function startedByHand(world: World): Move[] {
  const { up, boot, runs, source: at, destination: there } = world;
  const isOver = at.doing === 'held' && !at.paused;
  const isOpen = there.hasRun || there.right === 'running' || there.built;
  if (!up.a || boot.a === 0 || runs.length > 0 || !isOver || isOpen) return [];
  if (isAnythingFresh(world)) return [];
  return [['the guest is started at a by hand', running(source(world, { doing: 'ended' }), 'a')]];
}

/**
 * A person or a manager starts the guest at c while its migration is held, it runs nowhere, and its memory at a is gone.
 * Nothing else that could start it is under way, and no host fails any more: a destination that proves its source off then
 * is the person's fault.
 */
function startedByHandAtThird(world: World): Move[] {
  const { up, runs, faults: left, source: at, recoveries } = world;
  const isQuiet = STANDBYS.every((host) => ['none', 'ended'].includes(recoveries[host].stage));
  const isOver = runs.length === 0 && at.doing === 'held' && !at.paused && left === 0;
  if (!isOver || !isQuiet || !up.a || !up.c || isAnythingFresh(world)) return [];
  return [['the guest is started at c by hand', running(world, 'c')]];
}

/** Processes, and what was only in memory, are gone; journals stay. */
function powerless(world: World, host: Host): World {
  const off = {
    ...world,
    up: { ...world.up, [host]: false },
    runs: world.runs.filter((each) => each !== host),
  };
  if (host === 'a') return source(off, { paused: false, gathered: undefined });
  if (host === 'b')
    return recovery(destination(off, { built: false }), host, { gathered: undefined });
  return recovery(off, host, { gathered: undefined });
}

function restarted(world: World, host: Host): World {
  const on = {
    ...world,
    up: { ...world.up, [host]: true },
    boot: { ...world.boot, [host]: world.boot[host] + 1 },
  };
  if (host !== 'a') return on;
  const { doing, right } = on.source;
  // After a restart the record of a commit may be missing.
  const may = (right === 'armed' && sourceRightAfter('armed', 'commit')) || right;
  return source(on, { right: may, doing: doing === 'switchover' ? 'undo' : doing });
}

function atSource(world: World, rules: Rules): Move[] {
  if (!world.up.a) return [];
  const { doing, paused, gathered } = world.source;
  switch (doing) {
    case 'switchover': {
      const stopped = { ...world, runs: world.runs.filter((host) => host !== 'a') };
      const commits = { doing: 'commit', right: 'committing' } as const;
      return paused
        ? [['a begins to commit', source(world, commits)]]
        : [['the guest at a is down', source(stopped, { paused: true })]];
    }
    case 'commit':
      return commits(world, rules);
    case 'undo':
      return gathered === undefined
        ? [['a asks who may have the guest', asksForUndo(world, rules)]]
        : undo(world, gathered, rules);
    case 'held':
      return resolving(world, rules);
    case 'ended':
      return [];
  }
}

function commits(world: World, rules: Rules): Move[] {
  const third = gather(world, takeBack(world), { ...rules, inDoubt: () => HOSTS });
  const isElsewhere = third.c === 'has' || third.d === 'has';
  const elsewhere: Move = ['a ends the cold move: a third host has it', ended(world)];
  const givesUp: Move[] = [
    ['a waits for b no longer', source(world, { doing: 'held' })],
    ...(isElsewhere ? [elsewhere] : []),
  ];
  if (!reaches(world, 'a', 'b') || world.destination.damaged) return givesUp;
  const right = destinationRightAfter(world.destination.right, 'commit');
  if (right === undefined) {
    return [['b refuses the commit', source(world, { doing: 'undo', right: 'abandoned' })]];
  }
  // A destination that was restarted while armed does not know whether it ran the guest.
  const isUnsure =
    world.destination.right === 'armed' && world.destination.armedIn !== world.boot.b;
  if (isUnsure)
    return [['b cannot tell whether it ran the guest', source(world, { doing: 'held' })]];
  const { ordered } = world.source;
  const mayBeRecovered = rules.commitAsks && (world.boot.a > 0 || ordered !== undefined);
  const committed = destination(world, { right });
  const started = startAtDestination(committed, rules, { mayBeRecovered, named: ordered ?? [] });
  if (started === undefined) {
    return [['b may not start it', source(world, { doing: 'held' })]];
  }
  return [
    ['b runs the guest', source(started, { doing: 'ended', right: 'passed', paused: false })],
    ['b runs the guest, and a does not hear of it', started],
  ];
}

function atDestination(world: World, rules: Rules): Move[] {
  const { destination: there, up, boot } = world;
  if (!up.b) return [];
  if (there.damaged)
    return [['the request at b is repaired', destination(world, { damaged: false })]];
  const moves: Move[] = [];
  const isSame = there.armedIn === boot.b;
  if (there.right === 'armed' && !there.ended) {
    moves.push([
      'b gives up',
      destination(world, { right: isSame ? 'refused' : 'armed', ended: true, built: false }),
    ]);
    if (!up.a && there.built) {
      const proved = destination(world, { right: 'running', byProof: true });
      moves.push([
        'b runs the guest, a is proved off',
        startAtDestination(proved, rules, ALONE) ?? proved,
      ]);
    }
  }
  const isRecovered = world.recoveries.b.stage === 'ran';
  if (world.runs.includes('b') && !isRecovered && !there.hasRun) {
    moves.push(['b records that it runs', destination(world, { hasRun: true })]);
  }
  if (world.runs.includes('b') && there.hasRun && reaches(world, 'b', 'c') && !there.sentOn) {
    const moved = destination(world, { sentOn: true, built: false, ended: true });
    const runs = [...world.runs.filter((host) => host !== 'b'), 'c' as const];
    if (!world.runs.includes('c')) moves.push(['b sends the guest on to c', { ...moved, runs }]);
  }
  return moves;
}

/** On the proof that its source is off. */
const ALONE = { mayBeRecovered: false, named: [] };

function startAtDestination(
  world: World,
  rules: Rules,
  { mayBeRecovered, named }: { mayBeRecovered: boolean; named: readonly Host[] },
): World | undefined {
  const { right, armedIn, byProof, hasRun } = world.destination;
  if (hasRun || world.runs.includes('b')) return world;
  const bootId = bootName(armedIn);
  const claim: Claim = { kind: 'arrival', right, byProof, mayBeRecovered, bootId };
  const asking = { host: 'b', id: MIGRATION, claim, counterpart: 'a' } as const;
  const gathered: Partial<Record<Host, Answer>> = { ...gather(world, asking, rules), a: 'off' };
  for (const host of named) {
    if (gathered[host] === 'silent' || gathered[host] === 'may-have') gathered[host] = 'named';
  }
  return isGranted(world, asking, gathered, rules)
    ? running(destination(world, { built: false }), 'b')
    : undefined;
}

function atStandby(world: World, host: Standby, rules: Rules): Move[] {
  if (!world.up[host]) return [];
  const { stage, gathered, armedIn } = world.recoveries[host];
  const bootId = world.boot[host];
  const isOpen = stage === 'armed' || stage === 'proved';
  if (isOpen && rules.isVoid({ stage, armedIn }, bootId)) {
    return [[`${host} gives its recovery up`, recovery(world, host, { stage: 'ended' })]];
  }
  switch (stage) {
    case 'none':
      if (host === 'c' && world.destination.sentOn) return [];
      // It has a guest of that name, or a part in its migration.
      if (world.runs.includes(host) || (host === 'b' && !world.destination.ended)) return [];
      return [
        [
          `${host} is to recover the guest`,
          recovery(world, host, { stage: 'armed', armedIn: bootId }),
        ],
      ];
    case 'armed': {
      // The fencing hook shows a off, or it is not off and nothing follows.
      if (world.up.a)
        return [[`a is not off for ${host}`, recovery(world, host, { stage: 'ended' })]];
      const claim: Claim = { kind: 'recovery' };
      const asking = { host, id: recoveryId(host), claim, counterpart: 'a' } as const;
      if (gathered === undefined) {
        const answers = { ...gather(world, asking, rules), a: 'off' } as const;
        return [
          [`${host} asks who may have the guest`, recovery(world, host, { gathered: answers })],
        ];
      }
      const may = isGranted(world, asking, gathered, rules);
      const next = { stage: may ? 'proved' : 'ended', gathered: undefined } as const;
      return [[`${host} ${may ? 'records the proof' : 'gives up'}`, recovery(world, host, next)]];
    }
    case 'proved':
      if (world.recoveries[host].isOld === true && rules.provesAnew) {
        const anew = { stage: 'armed', armedIn } as const;
        const next = { ...world, recoveries: { ...world.recoveries, [host]: anew } };
        return [[`the next mover of ${host} proves anew`, next]];
      }
      return [[`${host} runs the guest`, running(recovery(world, host, { stage: 'ran' }), host)]];
    case 'ran':
    case 'ended':
      return [];
  }
}

function takeBack(world: World): Asking {
  const { right, word } = world.source;
  const own = { kind: 'take-back', right, handedOver: false, bootId: bootName(0) } as const;
  const claim: Claim = { ...own, byProof: word !== undefined };
  return { host: 'a', id: MIGRATION, claim, counterpart: 'b' };
}

function asksForUndo(world: World, rules: Rules): World {
  const asking = takeBack(world);
  const { word } = world.source;
  const isValid = word?.bootId === world.boot.a && word.isOld !== true;
  const named = isValid ? word.named : undefined;
  const gathered = gather(world, asking, rules);
  if (hostsInDoubt(world, asking, rules).includes('b')) {
    gathered.b = named === undefined ? refusalOf(world) : 'named';
    // It was off, and b may have recovered the guest meanwhile.
    const isAsked = world.boot.a > 0 && rules.asksRefuser;
    const isOpen = gathered.b === 'without' || gathered.b === 'named';
    if (isAsked && isOpen) {
      const seen = seenAt(world, 'a', 'b', MIGRATION, rules);
      gathered.b = reaches(world, 'a', 'b') ? seen : rules.silence;
    }
  }
  for (const host of named ?? []) {
    if (gathered[host] === 'silent' || gathered[host] === 'may-have') gathered[host] = 'named';
  }
  const isRefused = gathered.b === 'without' && world.destination.right === 'armed';
  const refused = { right: 'refused', ended: true, built: false } as const;
  return source(isRefused ? destination(world, refused) : world, { gathered });
}

/** What b says when it is asked to refuse. */
function refusalOf(world: World): Answer {
  const { right, armedIn, damaged } = world.destination;
  if (!world.up.b) return 'off';
  if (!reaches(world, 'a', 'b')) return 'silent';
  if (damaged) return 'may-have';
  if (right === 'running') return 'has';
  return right === 'armed' && armedIn !== world.boot.b ? 'may-have' : 'without';
}

function undo(world: World, gathered: GatheredAnswers, rules: Rules): Move[] {
  const label = 'a acts on the answers';
  if (isGranted(world, takeBack(world), gathered, rules)) {
    const back = { doing: 'ended', right: 'abandoned', paused: false } as const;
    return [[label, running(source(world, { ...back, gathered: undefined }), 'a')]];
  }
  const held: Move = [label, source(world, { doing: 'held', gathered: undefined })];
  const isElsewhere = Object.values(gathered).includes('has');
  // A cold move ends; memory that is still here is held for an operator.
  return isElsewhere ? [held, ['a ends the cold move: another host has it', ended(world)]] : [held];
}

function ended(world: World): World {
  return source(world, { doing: 'ended', paused: false, gathered: undefined });
}
