import { z } from 'zod';
import type { BootProcess } from '../../../system/processes/life.ts';
import { PAGE } from '../pages/memory.ts';
import { AddressSpace, type Span } from './address-space.ts';

/** Pager's journal, written before each action, so that another pager can continue. Pure. */

const number = z.number().int().nonnegative();

const entry = z.union([
  /** Process by its number in the container, and its userfaultfd. */
  z.strictObject({ task: number, fd: number }),
  z.strictObject({ forkOf: number, fd: number }),
  z.strictObject({ fd: number, drop: z.tuple([number, number]) }),
  z.strictObject({ fd: number, move: z.tuple([number, number, number]) }),
  /** All missing pages of a process, replacing earlier entries: address, pages, file, first page in it. */
  z.strictObject({ fd: number, spans: z.array(z.tuple([number, number, number, number])) }),
  /** The process has ended, or all its pages are present. */
  z.strictObject({ over: number }),
  /** CRIU has restored the whole container. */
  z.strictObject({ restored: z.literal(true) }),
  /** Processes that hold the descriptors. Earlier builds wrote no boot id. */
  z.strictObject({
    keepers: z
      .array(
        z.strictObject({
          pid: number,
          startTicks: number,
          bootId: z.string().max(64).optional(),
        }),
      )
      .max(16),
  }),
  z.strictObject({ all: z.literal(true) }),
]);
export type Entry = z.infer<typeof entry>;

export interface PagerState {
  readonly spaces: Map<number, AddressSpace>;
  readonly keepers: readonly BootProcess[];
  readonly restored: boolean;
  readonly all: boolean;
}

/** `spansOf`: initial page sources of a process. A torn last line is ignored. */
export function replay(text: string, spansOf: (task: number) => readonly Span[]): PagerState {
  const spaces = new Map<number, AddressSpace>();
  let keepers: PagerState['keepers'] = [];
  let [restored, all] = [false, false];
  for (const line of text.split('\n').slice(0, -1)) {
    const said = entry.parse(JSON.parse(line));
    if ('task' in said) spaces.set(said.fd, new AddressSpace(spansOf(said.task)));
    else if ('forkOf' in said)
      spaces.set(said.fd, spaces.get(said.forkOf)?.copy() ?? new AddressSpace([]));
    else if ('drop' in said) spaces.get(said.fd)?.drop(...said.drop);
    else if ('move' in said) spaces.get(said.fd)?.move(...said.move);
    else if ('spans' in said) spaces.set(said.fd, new AddressSpace(said.spans.map(spanOf)));
    else if ('over' in said) spaces.delete(said.over);
    else if ('keepers' in said) keepers = said.keepers;
    else if ('restored' in said) restored = true;
    else all = true;
  }
  return { spaces, keepers, restored, all };
}

/** Equivalent shorter journal: only the present missing pages of each process. */
export function entriesOf({ spaces, keepers, restored, all }: PagerState): Entry[] {
  return [
    ...[...spaces].map(([fd, space]): Entry => ({ fd, spans: joined(space.spans) })),
    ...(keepers.length > 0 ? [{ keepers: [...keepers] }] : []),
    ...(restored ? [{ restored } as const] : []),
    ...(all ? [{ all } as const] : []),
  ];
}

type SpanTuple = [from: number, pages: number, file: number, at: number];

const spanOf = ([from, pages, file, at]: SpanTuple): Span => ({ from, pages, file, at });

function joined(spans: readonly Span[]): SpanTuple[] {
  const found: SpanTuple[] = [];
  for (const { from, pages, file, at } of spans) {
    const last = found.at(-1);
    const follows =
      last !== undefined &&
      last[0] + last[1] * PAGE === from &&
      last[2] === file &&
      last[3] + last[1] === at;
    if (follows) last[1] += pages;
    else found.push([from, pages, file, at]);
  }
  return found;
}
