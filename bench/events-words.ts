/** What bench/events and its processes say to each other. */
export interface EventsOrder {
  /** News a second from now on; 0: none. */
  readonly perS: number;
  /** About so long is each of them. */
  readonly bytes: number;
}

export interface EventsReported {
  readonly reported: number;
  /** Streams that have not let go of everything. */
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
