import type { HostState } from '../../../src/protocol/controller/fleet.ts';
import type { GuestRunState } from '../../../src/protocol/public/hosts/host.ts';
import { Icon, type Glyph } from './icons.tsx';

export type Tone = 'good' | 'warn' | 'bad' | 'calm' | 'accent';

interface StateLabel {
  readonly word: string;
  readonly tone: Tone;
  /** What it means, as a sentence. */
  readonly meaning: string;
}

export const HOST_STATES: Readonly<Record<HostState, StateLabel>> = {
  up: { word: 'up', tone: 'good', meaning: 'The controller follows its agent.' },
  silent: {
    word: 'silent',
    tone: 'bad',
    meaning: 'The host does not answer. Its guests are shown as last reported.',
  },
  untrusted: {
    word: 'untrusted',
    tone: 'bad',
    meaning: 'The certificate that answers there does not belong to this host.',
  },
  incompatible: {
    word: 'incompatible',
    tone: 'warn',
    meaning: 'The host runs an incompatible version of the agent.',
  },
  unfollowed: {
    word: 'unfollowed',
    tone: 'warn',
    meaning: 'The controller that followed it is gone, and no other controller has reached it yet.',
  },
  asleep: {
    word: 'asleep',
    tone: 'calm',
    meaning: 'The host sleeps until a guest needs it.',
  },
  new: { word: 'new', tone: 'calm', meaning: 'No controller has reached it yet.' },
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
