/** Part of a container that cannot move: name, type, reason and fix. */
export interface Obstacle {
  readonly device: string;
  readonly type: string;
  readonly reason: string;
  readonly hint: string;
  /** Applies only to moving its memory, not to a cold move. */
  readonly ofMemory?: true;
}
