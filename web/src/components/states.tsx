import type { HostState } from '../../../src/protocol/controller/fleet.ts';
import type { GuestRunState } from '../../../src/protocol/public/hosts/host.ts';
import { Icon, type Glyph } from './icons.tsx';

export type Tone = 'good' | 'warn' | 'bad' | 'calm' | 'accent';

interface Said {
  readonly word: string;
  readonly tone: Tone;
  /** What it means, as a sentence. */
  readonly meaning: string;
}

export const HOST_STATES: Readonly<Record<HostState, Said>> = {
  up: { word: 'up', tone: 'good', meaning: 'Its agent is followed.' },
  silent: {
    word: 'silent',
    tone: 'bad',
    meaning: 'It is not heard of. What is shown of its guests was so when it was heard of last.',
  },
  untrusted: {
    word: 'untrusted',
    tone: 'bad',
    meaning: 'Who answers there is not taken for this host.',
  },
  incompatible: {
    word: 'incompatible',
    tone: 'warn',
    meaning: 'Its agent speaks another version.',
  },
  unfollowed: {
    word: 'unfollowed',
    tone: 'warn',
    meaning: 'The controller that followed it is gone, and no other one has reached it yet.',
  },
  asleep: {
    word: 'asleep',
    tone: 'calm',
    meaning: 'It was put to sleep while no guest needs it, and is woken when one does.',
  },
  new: { word: 'new', tone: 'calm', meaning: 'Nobody has reached it yet.' },
};

export function Badge({
  tone,
  glyph,
  children,
}: {
  tone: Tone;
  glyph: Glyph;
  children: preact.ComponentChildren;
}) {
  return (
    <span class={`badge ${tone}`}>
      <Icon of={glyph} size={12} />
      {children}
    </span>
  );
}

export function HostBadge({ state }: { state: HostState }) {
  const { word, tone } = HOST_STATES[state];
  return (
    <Badge tone={tone} glyph={state}>
      {word}
    </Badge>
  );
}

export const GUEST_WORDS: Readonly<Record<GuestRunState, string>> = {
  running: 'running',
  paused: 'paused',
  incoming: 'arriving',
  migrating: 'moving away',
  stopped: 'stopped',
  unknown: 'unknown',
};

export function GuestBadge({ state }: { state: GuestRunState }) {
  const looks: Record<GuestRunState, [Tone, Glyph]> = {
    running: ['good', 'up'],
    paused: ['warn', 'wait'],
    incoming: ['accent', 'moving'],
    migrating: ['accent', 'moving'],
    stopped: ['calm', 'unfollowed'],
    unknown: ['warn', 'warn'],
  };
  const [tone, glyph] = looks[state];
  return (
    <Badge tone={tone} glyph={glyph}>
      {GUEST_WORDS[state]}
    </Badge>
  );
}
