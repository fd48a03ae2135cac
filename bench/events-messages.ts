/** What bench/events and its processes say to each other. */
export interface EventsOrder {
  /** News a second from now on; 0: none. */
  readonly perS: number;
  /** About so long is each of them; 0: of guests that stop and go on. */
  readonly bytes: number;
  /** The first host is in that state from now on, which is reported at once. */
  readonly mark?: 'up' | 'silent';
}

export interface EventsReported {
  /** By the wall clock, after what was asked is in the log, ms. */
  readonly atMs: number;
  readonly reported: number;
  /** Streams that have not released everything. */
  readonly followers: number;
  /** Of the process, by its descriptors. */
  readonly sockets: number;
  /** What it held most for one of them, in the process. */
  readonly mostHeldBytes: number;
  readonly rss: number;
}

export interface ClientsReported {
  readonly open: number;
  /** Events, of all clients together. */
  readonly events: number;
  readonly resets: number;
}
