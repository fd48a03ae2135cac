import fc from 'fast-check';
import type {
  Overview,
  OverviewGuest,
  OverviewHost,
} from '../../src/protocol/controller/overview.ts';
import type { FleetChange } from '../../web/src/base/news.ts';
import type { FleetModel } from '../../web/src/fleet/model.ts';
import { piecesOf } from '../../web/src/fleet/pieces.ts';

const STATES = ['up', 'silent', 'untrusted', 'new'] as const;
const RUN_STATES = ['running', 'paused', 'incoming', 'migrating'] as const;
const hostNames = ['h1', 'h2', 'h3'];
const guestNames = ['g1', 'g2', 'g3', 'g4'];

export const overviews: fc.Arbitrary<Overview> = fc
  .uniqueArray(fc.tuple(fc.constantFrom(...guestNames), fc.nat(2)), {
    selector: ([name]) => name,
  })
  .chain((homes) =>
    fc.record({
      at: fc.constant('2026-11-23T09:00:00Z'),
      hosts: fc.tuple(...hostNames.map((name) => hostTuple(name))),
      guests: fc.tuple(
        ...homes.map(([name, host]) =>
          fc
            .tuple(fc.nat(1 << 20), fc.constantFrom(...RUN_STATES))
            .map(([bytes, state]): OverviewGuest => [name, host, bytes, state]),
        ),
      ),
    }),
  );

function hostTuple(name: string) {
  return fc
    .tuple(fc.constantFrom(...STATES), fc.nat(64), fc.nat(1000), fc.boolean())
    .map(([state, cores, bytes, draining]): OverviewHost => [
      name,
      state,
      cores,
      bytes,
      Math.floor(bytes / 2),
      null,
      null,
      draining ? 1 : 0,
      0,
    ]);
}

export const changes: fc.Arbitrary<FleetChange> = fc.oneof(
  fc.record({
    type: fc.constant('host' as const),
    host: fc.record({
      name: fc.constantFrom(...hostNames, 'h4'),
      address: fc.constant('h:1'),
      state: fc.constantFrom(...STATES),
      since: fc.constant('2026-11-23T09:00:00Z'),
      guests: fc.constant(0),
    }),
  }),
  fc.record({ type: fc.constant('host-gone' as const), name: fc.constantFrom(...hostNames) }),
  fc.record({
    type: fc.constant('guest' as const),
    guest: fc.record({
      name: fc.constantFrom(...guestNames),
      host: fc.constantFrom(...hostNames),
      driver: fc.constant('qemu'),
      state: fc.constantFrom(...RUN_STATES),
      memoryBytes: fc.nat(1 << 20),
      nics: fc.constant<never[]>([]),
      devices: fc.constant<never[]>([]),
      unmovable: fc.constant<never[]>([]),
    }),
  }),
  fc.record({
    type: fc.constant('guest-gone' as const),
    host: fc.constantFrom(...hostNames),
    name: fc.constantFrom(...guestNames),
  }),
);

/** As a page does when it asks for everything. */
export function take(model: FleetModel, overview: Overview): void {
  const draft = model.draft();
  for (const piece of piecesOf(overview)) model.add(draft, piece);
  model.replace(draft);
}
