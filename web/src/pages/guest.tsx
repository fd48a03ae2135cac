import type { fleetGuestDetail } from '../../../src/protocol/controller/fleet.ts';
import { formatBytes } from '../../../src/protocol/quantity.ts';
import { ask } from '../base/http.ts';
import { useLoaded } from '../base/load.ts';
import { mayOperate } from '../base/session.ts';
import { momentText } from '../base/text.ts';
import { fleet, shape } from '../fleet/fleet.ts';
import { usedText } from '../fleet/guest-query.ts';
import { Icon } from '../components/icons.tsx';
import { Shown } from '../components/loaded.tsx';
import { GuestBadge, HostBadge } from '../components/states.tsx';
import { GuestLoad } from './guest-load.tsx';
import { Story } from './story.tsx';

type Detail = ReturnType<typeof fleetGuestDetail.parse>;

/** Where the guest is by the events: its page is asked for anew when that changes. */
function placesOf(name: string): string {
  const found: string[] = [];
  for (const host of fleet.hosts.values()) {
    const guest = host.guests.find((each) => each.name === name);
    if (guest !== undefined) found.push(`${host.name} ${host.state} ${guest.state}`);
  }
  return found.join();
}

/** One guest, wherever it is, and its whole story. */
export function GuestPage({ name }: { name: string }) {
  void shape.value;
  const at = encodeURIComponent(name);
  const places = placesOf(name);
  const detail = useLoaded(
    (until) => ask<{ guests: Detail[] }>(`/v1/guests/${at}`, { signal: until }),
    [name, places],
  );
  const isUnknown = detail.value === undefined && detail.problem?.status === 404;
  return (
    <div class="stack">
      <nav class="trail" aria-label="Where this is">
        <a href="/guests">Guests</a> / <span aria-current="page">{name}</span>
      </nav>
      <header class="head-row">
        <h1>{name}</h1>
        <span class="grow" />
        {isUnknown ? null : (
          <a class="button" href={`/migrations?guest=${at}`}>
            Its migrations
          </a>
        )}
        {mayOperate() && !isUnknown ? (
          <a class="button" href={`/requests/new?kind=migration&guest=${at}`}>
            <Icon of="moving" /> Move…
          </a>
        ) : null}
      </header>
      <Shown of={detail} what={`guest ${name}`} lines={5}>
        {({ guests }) =>
          guests.map((guest) => <OnHost key={`${guest.host} ${guest.uuid}`} guest={guest} />)
        }
      </Shown>
      {isUnknown ? null : <GuestLoad name={name} vcpus={detail.value?.guests[0]?.vcpus} />}
      <Story name={name} places={places} isSaid={isUnknown} />
    </div>
  );
}

const labelsText = (labels: Detail['info']['labels'] = {}): string =>
  Object.entries(labels)
    .map(([label, value]) => `${label}=${value}`)
    .join(', ');

function OnHost({ guest }: { guest: Detail }) {
  const { info, host, hostState, alsoClaimedBy } = guest;
  const labels = labelsText(info.labels);
  const { load } = guest;
  const rows: (readonly [string, preact.ComponentChildren])[] = [
    ['memory', info.memoryBytes === undefined ? 'not known' : formatBytes(info.memoryBytes)],
    ['vCPUs', info.vcpus ?? 'not known'],
    ...(load === undefined
      ? []
      : [
          ['CPU in use now', usedText(load.cores, info.vcpus)] as const,
          ["in the host's memory", formatBytes(load.residentBytes)] as const,
        ]),
    [
      'driver',
      [info.driver, info.hypervisorVersion, info.machineType, info.accelerator]
        .filter((each) => each !== undefined)
        .join(', '),
    ],
    ...(info.manager === undefined ? [] : [['held by', info.manager] as const]),
    ...(labels === '' ? [] : [['labels', labels] as const]),
    ...(info.uuid === undefined ? [] : [['uuid', <code key="u">{info.uuid}</code>] as const]),
    ...(info.pid === undefined ? [] : [['process', info.pid] as const]),
    [
      'network',
      info.nics
        .map(({ id, mac, bridge }) => `${id} ${mac}${bridge === undefined ? '' : ` at ${bridge}`}`)
        .join('; ') || 'none',
    ],
    [
      'disks',
      info.disks
        ?.map(({ name, format, bytes }) => `${name} (${format}, ${formatBytes(bytes)})`)
        .join('; ') ?? 'not known',
    ],
  ];
  return (
    <section class="panel stack">
      <div class="row">
        <h2>
          On <a href={`/hosts/${host}`}>{host}</a>
        </h2>
        <GuestBadge state={guest.state} />
        {hostState === 'up' ? null : <HostBadge state={hostState} />}
        {guest.migration === undefined ? null : (
          <a href={`/migrations/${guest.migration}`}>its migration</a>
        )}
      </div>
      {hostState === 'up' ? null : (
        <p class="soft">
          As reported by {host} before {momentText(guest.hostSince)}. Its present state is unknown.
        </p>
      )}
      {alsoClaimedBy === undefined ? null : (
        <div class="notice bad" role="alert">
          <Icon of="warn" size={18} />
          <strong>
            Also claimed by {alsoClaimedBy.join(', ')}. Two hosts may run it: check them now.
          </strong>
        </div>
      )}
      {info.unmovable.length === 0 ? null : (
        <div class="notice warn">
          <Icon of="stay" size={18} />
          <div>
            <strong>It cannot move.</strong>
            <ul>
              {info.unmovable.map((each) => (
                <li key={each}>{each}</li>
              ))}
            </ul>
          </div>
        </div>
      )}
      <dl class="pairs">
        {rows.map(([name, value]) => (
          <>
            <dt key={name}>{name}</dt>
            <dd>{value}</dd>
          </>
        ))}
      </dl>
    </section>
  );
}
