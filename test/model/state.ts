import { WORDS } from './store.ts';

/** Where the code of the present step, or of its undo, stands. */
export const ACT = {
  /** Nowhere: the step is over when its event comes. */
  idle: 0,
  /** It has been told to begin. */
  begin: 1,
  /** It has asked something and waits for the answer. */
  asked: 2,
} as const;

/** The source's QEMU. `pc`: on its way to post-copy; `still`: the guest's processors are stopped. */
export const QEMU = {
  idle: 0,
  active: 1,
  activePc: 2,
  preSwitchover: 3,
  preSwitchoverPc: 4,
  device: 5,
  devicePc: 6,
  failedStill: 7,
  /** Failed or cancelled; it has resumed the guest by itself. */
  failed: 8,
  cancelled: 9,
  cancelling: 10,
  cancellingStill: 11,
  completed: 12,
  postcopy: 13,
  postcopyPaused: 14,
  gone: 15,
  /** Resumed after everything was handed over. */
  resumed: 16,
  /** Failed or cancelled on the way to post-copy, for which Godwit had stopped the guest: it runs no more by itself. */
  endedStill: 17,
  /** Post-copy failed at its very end: the destination may have everything, and has not been heard to say so. */
  failedGiven: 18,
  /** Started from its disks after everything was handed over. */
  anew: 19,
} as const;

/** The destination's QEMU. */
export const DEST = {
  none: 0,
  incoming: 1,
  /** `cont` was given before its memory was there: it starts by itself. */
  incomingAuto: 2,
  loaded: 3,
  postcopy: 4,
  running: 5,
  postcopyRunning: 6,
  /** The stream broke; the guest runs as far as it has pages. */
  postcopyRunningCut: 7,
  postcopyCut: 8,
  gone: 9,
} as const;

/** Whether the destination's mover is in the middle of something, where its death may cut it off. */
export const BUSY = { idle: 0, working: 1 } as const;

/** The one call of the source's mover that somebody waits for. */
export const LIVE = {
  none: 0,
  sent: 1,
  working: 2,
  ok: 3,
  notArmed: 4,
  held: 5,
  gone: 6,
  error: 7,
  /** Its agent does not know the migration: it has forgotten it. */
  unknown: 8,
} as const;

export const CALLS = ['admit', 'prepare', 'arm', 'commit', 'refuse', 'release', 'finish'] as const;
export type Call = (typeof CALLS)[number];
export const callBit = (call: Call): number => 1 << CALLS.indexOf(call);

/** Copies of calls of an earlier migration of the same guest that the network may still hold. */
export const EARLIER = ['commit', 'refuse', 'release'] as const satisfies Call[];

/** Why an end may be `held` or `lost`; `proved`: the other host was shown to be off, or to have no copy. */
export const EXCUSE = {
  deadline: 1,
  sourceGone: 2,
  destinationGone: 4,
  rebooted: 8,
  proved: 16,
  /** The stream broke with the last word of post-copy: what was on its way is nowhere. */
  lastWord: 32,
  /** A journal is damaged: its side does nothing more, and says so. */
  damaged: 64,
} as const;

/** One state of everything: two hosts, the link, and what has to be remembered of the past. Numbers only. */
export class World {
  /** The source's journal (SourceBook). */
  js = 0;
  mover = 1;
  /** This mover has taken over and still does what it found begun. */
  took = 0;
  act: number = ACT.idle;
  /** The point of its table: where it begins, or what it waits at. Of no meaning, and 0, where it is idle. */
  at = 0;
  /** `continue` is about to be given. */
  cont = 0;
  /** The stream is to be recovered. */
  rec = 0;
  /** The session with QEMU is open: its events are heard. */
  sess = 0;
  /** What QEMU has said and nobody has heard yet: four bits each, the oldest lowest. */
  unheard = 0;
  qemu: number = QEMU.idle;
  /** The source's host has been restarted. */
  rebooted = 0;
  /** The destination's journal (DestinationBook); 0 before it admits. */
  jd = 0;
  dmover = 0;
  busy: number = BUSY.idle;
  /** The point of its table where it waits. Of no meaning, and 0, where it is idle. */
  dat = 0;
  dqemu: number = DEST.none;
  /** Its mover has not heard yet that it is gone. */
  dlost = 0;
  dsess = 0;
  boot = 0;
  live: number = LIVE.none;
  /** Calls that were ever sent: a copy of each may arrive at any time, any number of times, or never. */
  sent = 0;
  /** Calls of the earlier migration that may still arrive. */
  earlier = 0;
  commitSent = 0;
  /** The guest has run at the destination. */
  ran = 0;
  /** The source itself asked the destination to end. */
  reported = 0;
  /** The source was off, and the destination was told to run what it held, whatever the source had made of it. */
  ordered = 0;
  /** The destination has forgotten the migration. */
  forgot = 0;
  /** The source's journal, or the destination's, is damaged: no mover goes on with it. */
  sdam = 0;
  ddam = 0;
  /** The destination has sent the guest on to a third host, where it runs. */
  third = 0;
  excuses = 0;
  /** Faults that may still happen. */
  faults = 0;
  /** Set by a move that breaks a rule: its number in RULES_BROKEN. Never stored. */
  broken = 0;

  copyFrom(other: World): this {
    this.js = other.js;
    this.mover = other.mover;
    this.took = other.took;
    this.act = other.act;
    this.at = other.at;
    this.cont = other.cont;
    this.rec = other.rec;
    this.sess = other.sess;
    this.unheard = other.unheard;
    this.qemu = other.qemu;
    this.rebooted = other.rebooted;
    this.jd = other.jd;
    this.dmover = other.dmover;
    this.busy = other.busy;
    this.dat = other.dat;
    this.dqemu = other.dqemu;
    this.dlost = other.dlost;
    this.dsess = other.dsess;
    this.boot = other.boot;
    this.live = other.live;
    this.sent = other.sent;
    this.earlier = other.earlier;
    this.commitSent = other.commitSent;
    this.ran = other.ran;
    this.reported = other.reported;
    this.forgot = other.forgot;
    this.ordered = other.ordered;
    this.sdam = other.sdam;
    this.ddam = other.ddam;
    this.third = other.third;
    this.excuses = other.excuses;
    this.faults = other.faults;
    this.broken = 0;
    return this;
  }

  pack(words: Int32Array): void {
    words[0] =
      this.js |
      (this.mover << 20) |
      (this.took << 21) |
      (this.act << 22) |
      (this.cont << 25) |
      (this.rec << 26) |
      (this.sess << 27) |
      (this.dmover << 28) |
      (this.busy << 29);
    words[1] = this.unheard | (this.qemu << 20) | (this.faults << 25) | (this.boot << 28);
    words[2] =
      this.jd | (this.dqemu << 16) | (this.dlost << 20) | (this.dsess << 21) | (this.live << 22);
    words[3] =
      this.sent |
      (this.earlier << 8) |
      (this.commitSent << 12) |
      (this.ran << 13) |
      (this.excuses << 14) |
      (this.rebooted << 21) |
      (this.reported << 22) |
      (this.forgot << 23) |
      (this.ordered << 24) |
      (this.sdam << 25) |
      (this.ddam << 26) |
      (this.third << 27);
    words[4] =
      (this.act === ACT.idle ? 0 : this.at) | ((this.busy === BUSY.idle ? 0 : this.dat) << 16);
  }

  unpack(words: Int32Array): this {
    const [a = 0, b = 0, c = 0, d = 0, e = 0] = words;
    this.js = a & 0xfffff;
    this.mover = (a >>> 20) & 1;
    this.took = (a >>> 21) & 1;
    this.act = (a >>> 22) & 7;
    this.cont = (a >>> 25) & 1;
    this.rec = (a >>> 26) & 1;
    this.sess = (a >>> 27) & 1;
    this.dmover = (a >>> 28) & 1;
    this.busy = (a >>> 29) & 7;
    this.unheard = b & 0xfffff;
    this.qemu = (b >>> 20) & 31;
    this.faults = (b >>> 25) & 7;
    this.boot = (b >>> 28) & 3;
    this.jd = c & 0xffff;
    this.dqemu = (c >>> 16) & 15;
    this.dlost = (c >>> 20) & 1;
    this.dsess = (c >>> 21) & 1;
    this.live = (c >>> 22) & 15;
    this.sent = d & 0xff;
    this.earlier = (d >>> 8) & 15;
    this.commitSent = (d >>> 12) & 1;
    this.ran = (d >>> 13) & 1;
    this.excuses = (d >>> 14) & 127;
    this.rebooted = (d >>> 21) & 1;
    this.reported = (d >>> 22) & 1;
    this.forgot = (d >>> 23) & 1;
    this.ordered = (d >>> 24) & 1;
    this.sdam = (d >>> 25) & 1;
    this.ddam = (d >>> 26) & 1;
    this.third = (d >>> 27) & 1;
    this.at = e & 0xffff;
    this.dat = (e >>> 16) & 0xffff;
    this.broken = 0;
    return this;
  }
}

export const scratchWords = (): Int32Array => new Int32Array(WORDS);

export function sourceRuns({ qemu }: World): boolean {
  switch (qemu) {
    case QEMU.idle:
    case QEMU.active:
    case QEMU.activePc:
    case QEMU.failed:
    case QEMU.cancelled:
    case QEMU.cancelling:
    case QEMU.resumed:
    case QEMU.anew:
      return true;
    default:
      return false;
  }
}

/** Wherever the destination has sent it on to counts with it. */
export function runsElsewhere(world: World): boolean {
  return destinationRuns(world) || world.third === 1;
}

export function destinationRuns({ dqemu }: World): boolean {
  return (
    dqemu === DEST.running || dqemu === DEST.postcopyRunning || dqemu === DEST.postcopyRunningCut
  );
}

/** The source has given everything away and will not resume the guest by itself. */
export function handedOver({ qemu }: World): boolean {
  return (
    qemu === QEMU.completed ||
    qemu === QEMU.postcopy ||
    qemu === QEMU.postcopyPaused ||
    qemu === QEMU.failedGiven
  );
}
