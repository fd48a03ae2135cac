import type { HostState } from '../../../src/protocol/controller/fleet.ts';

/** Each state has a shape of its own, so that nobody has to know a colour. */
const SHAPES: Record<Glyph, preact.JSX.Element> = {
  up: <circle cx="8" cy="8" r="4.5" fill="currentColor" />,
  silent: (
    <>
      <circle cx="8" cy="8" r="5.2" fill="none" stroke="currentColor" stroke-width="1.8" />
      <path d="M3 13 13 3" stroke="currentColor" stroke-width="1.8" />
    </>
  ),
  untrusted: (
    <path
      d="M8 1.8 15 14H1zM8 6.2v3.6M8 11.4v1.2"
      fill="none"
      stroke="currentColor"
      stroke-width="1.6"
    />
  ),
  incompatible: (
    <path
      d="M8 1.5 14.5 8 8 14.5 1.5 8zM5.6 8h4.8"
      fill="none"
      stroke="currentColor"
      stroke-width="1.6"
    />
  ),
  unfollowed: (
    <circle
      cx="8"
      cy="8"
      r="5.2"
      fill="none"
      stroke="currentColor"
      stroke-width="1.8"
      stroke-dasharray="2.6 2.8"
    />
  ),
  asleep: (
    <path
      d="M12.9 10.2A5.6 5.6 0 0 1 5.8 3.1a5.6 5.6 0 1 0 7.1 7.1z"
      fill="none"
      stroke="currentColor"
      stroke-width="1.6"
    />
  ),
  new: (
    <>
      <circle cx="8" cy="8" r="5.8" fill="none" stroke="currentColor" stroke-width="1.5" />
      <path d="M8 5.2v5.6M5.2 8h5.6" stroke="currentColor" stroke-width="1.5" />
    </>
  ),
  draining: (
    <path
      d="M2.5 3v10.5h11V3M8 2v7M5.2 6.6 8 9.4l2.8-2.8"
      fill="none"
      stroke="currentColor"
      stroke-width="1.7"
    />
  ),
  moving: (
    <path d="M2 8h11M9.3 4.3 13 8l-3.7 3.7" fill="none" stroke="currentColor" stroke-width="1.8" />
  ),
  good: <path d="m2.5 8.5 3.8 3.8 7.2-8" fill="none" stroke="currentColor" stroke-width="2" />,
  bad: <path d="m3.5 3.5 9 9m0-9-9 9" stroke="currentColor" stroke-width="2" />,
  back: (
    <path
      d="M6 3 2.5 6.5 6 10M3 6.5h6a4 4 0 0 1 0 8H6"
      fill="none"
      stroke="currentColor"
      stroke-width="1.7"
    />
  ),
  wait: (
    <>
      <circle cx="8" cy="8" r="6" fill="none" stroke="currentColor" stroke-width="1.6" />
      <path d="M8 4.5V8l2.5 1.8" fill="none" stroke="currentColor" stroke-width="1.6" />
    </>
  ),
  stay: <path d="M4 2v12M4 3h8l-2 3 2 3H4" fill="none" stroke="currentColor" stroke-width="1.6" />,
  warn: (
    <path
      d="M8 1.8 15 14H1zM8 6.2v3.6M8 11.4v1.2"
      fill="none"
      stroke="currentColor"
      stroke-width="1.6"
    />
  ),
  cards: (
    <path
      d="M2 2.5h5v4.5H2zM9 2.5h5v4.5H9zM2 9h5v4.5H2zM9 9h5v4.5H9z"
      fill="none"
      stroke="currentColor"
      stroke-width="1.4"
    />
  ),
  table: <path d="M2 3h12M2 6.5h12M2 10h12M2 13.5h12" stroke="currentColor" stroke-width="1.4" />,
  sun: (
    <>
      <circle cx="8" cy="8" r="3" fill="none" stroke="currentColor" stroke-width="1.5" />
      <path
        d="M8 1v2M8 13v2M1 8h2M13 8h2M3 3l1.4 1.4M11.6 11.6 13 13M13 3l-1.4 1.4M4.4 11.6 3 13"
        stroke="currentColor"
        stroke-width="1.5"
      />
    </>
  ),
  moon: (
    <path
      d="M13.5 9.5A6 6 0 0 1 6.5 2.5a6 6 0 1 0 7 7z"
      fill="none"
      stroke="currentColor"
      stroke-width="1.5"
    />
  ),
  auto: (
    <>
      <circle cx="8" cy="8" r="6" fill="none" stroke="currentColor" stroke-width="1.5" />
      <path d="M8 2a6 6 0 0 1 0 12z" fill="currentColor" />
    </>
  ),
};

export type Glyph =
  | HostState
  | 'draining'
  | 'moving'
  | 'good'
  | 'bad'
  | 'back'
  | 'wait'
  | 'stay'
  | 'warn'
  | 'cards'
  | 'table'
  | 'sun'
  | 'moon'
  | 'auto';

/** Beside words that say the same: it is not read out. */
export function Icon({ of, size = 14 }: { of: Glyph; size?: number }) {
  return (
    <svg class="icon" viewBox="0 0 16 16" width={size} height={size} aria-hidden="true">
      {SHAPES[of]}
    </svg>
  );
}
