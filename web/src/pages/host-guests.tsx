import type { FleetGuest } from '../../../src/protocol/controller/fleet.ts';
import { formatBytes } from '../../../src/protocol/quantity.ts';
import { ask } from '../base/http.ts';
import { useLoaded } from '../base/load.ts';
import { count } from '../base/text.ts';
import { fleet, loaded, shape } from '../fleet/fleet.ts';
import { Shown } from '../components/loaded.tsx';
import { GuestBadge } from '../components/states.tsx';
import { Scrolls } from '../components/scrolls.tsx';

const MAX_GUESTS = 1000;

/** The guests of a host, as it last reported them. */
export function HostGuests({ host, isOld }: { host: string; isOld: boolean }) {
  // Asked anew whenever the events say that something of the host's guests changed.
  const now = fleet.hosts.get(host)?.guests;
  void shape.value;
  void loaded.value;
  const guests = useLoaded(
    (until) =>
      ask<{ guests: FleetGuest[]; next?: string }>(
        `/v1/guests?host=${encodeURIComponent(host)}&limit=${MAX_GUESTS}`,
        { signal: until },
      ),
    [host, now],
  );
  return (
    <section class="panel">
      <h2>Guests{isOld ? ', as known before' : ''}</h2>
      <Shown of={guests} what="guests">
        {({ guests: list, next }) =>
          list.length === 0 ? (
            <p class="soft">No guests on this host.</p>
          ) : (
            <Scrolls label={`Guests of ${host}`}>
              <table class="list">
                <thead>
                  <tr>
                    <th>Guest</th>
                    <th>State</th>
                    <th class="right">Memory</th>
                    <th class="right">vCPUs</th>
                    <th>Driver</th>
                    <th>Migration</th>
                  </tr>
                </thead>
                <tbody>
                  {list.map((guest) => (
                    <tr key={`${guest.name} ${guest.uuid}`}>
                      <td>
                        <a href={`/guests/${guest.name}`}>{guest.name}</a>
                        {guest.alsoClaimedBy === undefined ? null : (
                          <p class="bad">also claimed by {guest.alsoClaimedBy.join(', ')}</p>
                        )}
                      </td>
                      <td>
                        <GuestBadge state={guest.state} />
                      </td>
                      <td class="right">
                        {guest.memoryBytes === undefined ? '–' : formatBytes(guest.memoryBytes)}
                      </td>
                      <td class="right">{guest.vcpus === undefined ? '–' : count(guest.vcpus)}</td>
                      <td>
                        {guest.driver}
                        {guest.manager === undefined ? '' : `, held by ${guest.manager}`}
                      </td>
                      <td>
                        {guest.migration === undefined ? (
                          ''
                        ) : (
                          <a href={`/migrations/${guest.migration}`}>{guest.migration}</a>
                        )}
                      </td>
                    </tr>
                  ))}
                </tbody>
              </table>
              {next === undefined ? null : <p class="soft">The first {count(list.length)}.</p>}
            </Scrolls>
          )
        }
      </Shown>
    </section>
  );
}
