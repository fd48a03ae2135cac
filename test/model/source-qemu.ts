import { fork, breakRule, type Context } from './context.ts';
import { isDestinationThere, says } from './hypervisors.ts';
import type { Stands } from './shells/source-ports.ts';
import type { Reply } from './source-handlers.ts';
import { EXCUSE, QEMU, handedOver, type World } from './state.ts';

/** The source's QEMU and the driver before it, as the mover's commands and questions find them. */

/** Opens the session with QEMU where it is not open; false where QEMU is gone and there is none to open. */
export function openSession(world: World): boolean {
  if (world.sess === 1) return true;
  if (world.qemu === QEMU.gone) return false;
  world.sess = 1;
  // A session begins with what is already so; with the guest running here, a stream that ended is an older one’s.
  switch (world.qemu) {
    case QEMU.active:
    case QEMU.activePc:
    case QEMU.cancelling:
      says(world, 'active');
      break;
    case QEMU.cancellingStill:
      says(world, 'active');
      break;
    case QEMU.preSwitchover:
    case QEMU.preSwitchoverPc:
      says(world, 'pre-switchover');
      break;
    case QEMU.device:
    case QEMU.devicePc:
      says(world, 'device');
      break;
    case QEMU.failedStill:
    case QEMU.endedStill:
    case QEMU.failedGiven:
      says(world, 'failed');
      break;
    case QEMU.completed:
      says(world, 'completed');
      break;
    case QEMU.postcopy:
      says(world, 'postcopy-active');
      break;
    case QEMU.postcopyPaused:
      says(world, 'postcopy-paused');
      break;
    default:
  }
  return true;
}

/** What QEMU answers to the question where it stands. */
export const STAND: Readonly<Record<number, Stands>> = {
  [QEMU.idle]: 'running none',
  [QEMU.active]: 'running active',
  [QEMU.activePc]: 'running active',
  [QEMU.preSwitchover]: 'paused pre-switchover',
  [QEMU.preSwitchoverPc]: 'paused pre-switchover',
  [QEMU.device]: 'paused device',
  [QEMU.devicePc]: 'paused device',
  [QEMU.failedStill]: 'paused failed',
  [QEMU.failed]: 'running failed',
  [QEMU.cancelled]: 'running cancelled',
  [QEMU.cancelling]: 'running active',
  [QEMU.cancellingStill]: 'paused active',
  [QEMU.completed]: 'handed-over completed',
  [QEMU.postcopy]: 'handed-over postcopy-active',
  [QEMU.postcopyPaused]: 'handed-over postcopy-paused',
  [QEMU.gone]: 'gone none',
  [QEMU.resumed]: 'running completed',
  [QEMU.anew]: 'running completed',
  [QEMU.endedStill]: 'paused failed',
  [QEMU.failedGiven]: 'paused failed',
};

type Work = (context: Context, world: World) => 'ok' | 'gone' | 'other';

interface Order {
  readonly work: Work;
  /** It may fail before it has done anything: a fault. */
  readonly mayFail: boolean;
  /** It may be done and its answer come too late: a fault. */
  readonly mayBeLate: boolean;
}

const order = (work: Work, mayFail = false, mayBeLate = false): Order => ({
  work: (context, world) => (world.qemu === QEMU.gone ? 'gone' : work(context, world)),
  mayFail,
  mayBeLate,
});
const nothing: Work = () => 'ok';

/** The driver's commands, by the names that they have in the table. */
export const COMMANDS = {
  inspect: order(nothing, true),
  configure: order(nothing, true),
  unconfigure: order(nothing),
  'start memory': order(startMemory, true),
  'start post-copy': order(startPostcopy, true, true),
  continue: order((_context, world) => (continueSwitchover(world) ? 'ok' : 'other'), true, true),
  resume: order(resumeGuest),
  'start from disks': order(startFromDisks),
  quit: { work: quit, mayFail: false, mayBeLate: false },
} as const satisfies Record<string, Order>;
export type Command = keyof typeof COMMANDS;

function startMemory(_context: Context, world: World): 'ok' | 'other' {
  const { idle, failed, cancelled, resumed, anew } = QEMU;
  const free: readonly number[] = [idle, failed, cancelled, resumed, anew];
  if (!free.includes(world.qemu)) return 'other';
  world.qemu = QEMU.active;
  says(world, 'active');
  return 'ok';
}

/** In any other state the order is taken and has no effect: pre-copy has won, or the stream has ended. */
function startPostcopy(_context: Context, world: World): 'ok' {
  if (world.qemu === QEMU.active) world.qemu = QEMU.activePc;
  return 'ok';
}

/** migrate-continue; false where QEMU refuses it. */
export function continueSwitchover(world: World): boolean {
  switch (world.qemu) {
    case QEMU.preSwitchover:
      world.qemu = QEMU.device;
      says(world, 'device');
      return true;
    case QEMU.preSwitchoverPc:
      world.qemu = QEMU.devicePc;
      says(world, 'device');
      return true;
    case QEMU.device:
    case QEMU.devicePc:
    case QEMU.completed:
    case QEMU.postcopy:
    case QEMU.postcopyPaused:
    case QEMU.failedGiven:
      return true;
    default:
      return false;
  }
}

/** system_reset and cont: what the guest did elsewhere is on its disks. */
function startFromDisks(context: Context, world: World): 'ok' {
  if (!isBrokenOff(world) && !handedOver(world)) return 'ok';
  mustNotBePostcopy(world);
  mustHaveRight(context, world);
  world.qemu = QEMU.anew;
  return 'ok';
}

const isBrokenOff = ({ qemu }: World): boolean =>
  qemu === QEMU.endedStill || qemu === QEMU.failedGiven;

/** cont. Nobody but the mover has a guest go on that is paused here. */
function resumeGuest(context: Context, world: World): 'ok' {
  const brokeOff = isBrokenOff(world);
  if (!brokeOff && !handedOver(world)) return 'ok';
  mustNotBePostcopy(world);
  mustHaveRight(context, world);
  // Its disks are newer than its memory, whatever became of the destination.
  if (world.ran === 1)
    breakRule(world, 'the source resumed a guest that has run at the destination');
  world.qemu = brokeOff ? QEMU.cancelled : QEMU.resumed;
  return 'ok';
}

/** QEMU does not finish a post-copy whose destination has run the guest, and neither runs nor resets it before that. */
function mustNotBePostcopy(world: World): void {
  const postcopy = handedOver(world) && world.qemu !== QEMU.completed;
  if (postcopy && world.ran === 1) {
    breakRule(world, 'the source resumed a guest whose post-copy had run at the destination');
  }
}

function mustHaveRight(context: Context, world: World): void {
  const brokeOff = isBrokenOff(world);
  const proved = (world.excuses & EXCUSE.proved) !== 0;
  const there = world.jd === 0 ? undefined : context.destination.durable(world.jd);
  // Where its stream broke off, and no commit was ever sent or nothing is left there to run it, nobody else may.
  const isAlone = world.commitSent === 0 || !isDestinationThere(world);
  const needsWord = handedOver(world) && !(brokeOff && isAlone);
  if (needsWord && there?.right !== 'refused' && !proved) {
    breakRule(
      world,
      'the source resumed a guest that it had handed over, without a refusal that outlives a power loss',
    );
  }
}

function quit(_context: Context, world: World): 'ok' {
  world.qemu = QEMU.gone;
  world.sess = 0;
  world.unheard = 0;
  return 'ok';
}

/** The driver's cancel: at once where nothing is under way, else QEMU is asked and waited for. */
export function takeBack(world: World): void {
  switch (world.qemu) {
    case QEMU.active:
    case QEMU.activePc:
      world.qemu = QEMU.cancelling;
      break;
    case QEMU.preSwitchover:
    case QEMU.preSwitchoverPc:
    case QEMU.device:
    case QEMU.devicePc:
      world.qemu = QEMU.cancellingStill;
      break;
    default:
  }
}

/** Until it is so: the guest runs here, its stream has broken off and it is paused, or everything was handed over. */
export function cancelMoves(context: Context, reply: Reply): void {
  const { world, emit } = context;
  const next = fork(context);
  if (CANCELLED.includes(world.qemu) || handedOver(world)) {
    reply(next, STAND[world.qemu] ?? 'gone none');
    emit('step', `the stream is taken back: ${STAND[world.qemu]}`);
    return;
  }
  next.excuses |= EXCUSE.deadline;
  reply(next, 'deadline');
  emit('time', 'QEMU does not say in time that the stream is cancelled');
}

const CANCELLED: readonly number[] = [
  QEMU.idle,
  QEMU.failed,
  QEMU.cancelled,
  QEMU.resumed,
  QEMU.anew,
  QEMU.endedStill,
  QEMU.gone,
];
