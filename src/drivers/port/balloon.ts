/** What a guest's balloon and its driver in the guest report. */
export interface BalloonFacts {
  /** What the guest has with the balloon as it is, bytes. */
  readonly actualBytes: number;
  /** What it has with an empty one: all of its memory but for what no balloon reaches (nvdimm, virtio-mem). */
  readonly wholeBytes: number;
  /** Pages that nothing in the guest uses, and with those that it could give up without harm, such as page cache. */
  readonly freeBytes: number;
  readonly availableBytes: number;
}

/** Takes memory of a running guest away, and gives it back. */
export interface Balloon {
  /**
   * What it and its driver report now; takes seconds. GODWIT_CAPABILITY says why there is nothing to hear: no such device, or
   * none whose driver in the guest keeps statistics.
   */
  look(signal: AbortSignal): Promise<BalloonFacts>;
  /** Orders that the guest is to have so much, bytes; it comes to that by itself, as fast as it can. */
  resize(bytes: number, signal: AbortSignal): Promise<void>;
  /** What it has now, bytes. */
  actual(signal: AbortSignal): Promise<number>;
}

export interface MayBalloon {
  /** Absent where the driver knows no balloons. */
  readonly balloon?: Balloon;
}
