/** A part of a container that cannot move: what, of which kind, why, and the way out. */
export interface Obstacle {
  readonly device: string;
  readonly type: string;
  readonly reason: string;
  readonly hint: string;
  /** It only speaks against moving its memory: a cold move is not refused for it. */
  readonly ofMemory?: true;
}
