import { useState } from 'preact/hooks';
import type { fleetHostDetail } from '../../../src/protocol/controller/fleet.ts';
import type { FleetGuest, SamplePoint } from '../../../src/protocol/controller/fleet.ts';
import { formatBytes } from '../../../src/protocol/quantity.ts';
import { ask, asProblem } from '../base/http.ts';
import type { Problem } from '../base/http.ts';
import { useLoaded } from '../base/load.ts';
import { mayOperate } from '../base/session.ts';
import { agoText, count, counted, momentText, percentText } from '../base/words.ts';
import { memoryShare } from '../fleet/filter.ts';
import { fleet, loaded, revision, shape } from '../fleet/fleet.ts';
import type { Span } from '../fleet/samples.ts';
import { Icon } from '../parts/icons.tsx';
import { Shown } from '../parts/loaded.tsx';
import { Empty, ProblemNote } from '../parts/notices.tsx';
import { Badge, GuestBadge, HOST_STATES, HostBadge } from '../parts/states.tsx';
import { undrain } from '../wishes/wishes.ts';
import { HostCharts } from './host-charts.tsx';

type Detail = ReturnType<typeof fleetHostDetail.parse>;

const LOOK_MS = 10_000;
const MOST_GUESTS = 1000;

/** One host: how it stands, how busy it is, and what runs on it. */
export function HostPage({ name }: { name: string }) {
  const at = encodeURIComponent(name);
  const live = fleet.hosts.get(name);
  void revision.value;
  const state = live?.state;
  const detail = useLoaded(
    (until) => ask<Detail>(`/v1/hosts/${at}`, { signal: until }),
    [name, state],
    LOOK_MS,
  );
  return (
    <div class="stack">
      <nav class="trail" aria-label="Where this is">
        <a href="/">Fleet</a> / <span aria-current="page">{name}</span>
      </nav>
      <Shown of={detail} what={`host ${name}`} lines={5}>
        {(host) => <Host host={host} />}
      </Shown>
      {detail.value === undefined && detail.problem !== undefined ? <h1>{name}</h1> : null}
    </div>
  );
}

function Host({ host }: { host: Detail }) {
  const live = fleet.hosts.get(host.name);
  const { word, meaning } = HOST_STATES[host.state];
  const isUp = host.state === 'up';
  return (
    <>
      <header class="head-row">
        <h1>{host.name}</h1>
        <HostBadge state={host.state} />
        {live?.draining === true ? (
          <Badge tone="warn" glyph="draining">
            draining
          </Badge>
        ) : null}
        <span class="grow" />
        <Actions name={host.name} draining={live?.draining === true} />
      </header>
      {isUp ? null : (
        <div class={`notice ${HOST_STATES[host.state].tone === 'bad' ? 'bad' : 'warn'}`}>
          <Icon of={host.state} size={18} />
          <div>
            <strong>
              {host.name} is {word} since {momentText(host.since)} (
              {agoText(Date.now() - Date.parse(host.since))}).
            </strong>
            <p>
              {meaning} {host.reason ?? ''}
            </p>
          </div>
        </div>
      )}
      <div class="columns wide-first">
        <Facts host={host} />
        <Load name={host.name} isUp={isUp} memoryBytes={host.memoryBytes} />
      </div>
      <Guests host={host.name} isOld={!isUp} />
      <Programs host={host} />
    </>
  );
}

function Actions({ name, draining }: { name: string; draining: boolean }) {
  const [problem, setProblem] = useState<Problem>();
  const [isBusy, setBusy] = useState(false);
  if (!mayOperate()) return null;
  const end = async (): Promise<void> => {
    setBusy(true);
    setProblem(undefined);
    await undrain(name).catch((thrown: unknown) => setProblem(asProblem(thrown)));
    setBusy(false);
  };
  return (
    <>
      {draining ? (
        <button
          type="button"
          disabled={isBusy}
          onClick={() => void end()}
          title="Guests may come to it again; an open drain of it is cancelled"
        >
          <Icon of="back" /> End the drain
        </button>
      ) : (
        <a class="button" href={`/wishes/new?kind=drain&hosts=${encodeURIComponent(name)}`}>
          <Icon of="draining" /> Drain…
        </a>
      )}
      {problem === undefined ? null : <ProblemNote problem={problem} />}
    </>
  );
}

function Facts({ host }: { host: Detail }) {
  const { address, version, followedBy, since, cores, memoryBytes, info, load } = host;
  const memory = memoryShare(host);
  const migrations = info?.migrations;
  const rows: (readonly [string, preact.ComponentChildren])[] = [
    ['address', <code key="a">{address}</code>],
    ['in this state since', momentText(since)],
    ['agent', version ?? 'not known'],
    ['followed by', followedBy ?? 'no controller'],
    [
      'processors',
      cores === undefined
        ? 'not known'
        : `${counted(cores, 'core')}${info === undefined ? '' : `, ${info.processor.model}`}`,
    ],
    [
      'memory',
      memoryBytes === undefined || memory === undefined
        ? 'not known'
        : `${percentText(memory)} of ${formatBytes(memoryBytes)} in use`,
    ],
    ...(load?.memory.swapUsedBytes === undefined || load.memory.swapUsedBytes === 0
      ? []
      : [['swap in use', formatBytes(load.memory.swapUsedBytes)] as const]),
    ...(migrations === undefined
      ? []
      : [['migrations now', `${migrations.out} out, ${migrations.in} in`] as const]),
  ];
  return (
    <section class="panel">
      <h2>Facts</h2>
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

const SPANS: readonly (readonly [Span, string])[] = [
  ['sample', '10 minutes'],
  ['minute', '2 hours'],
  ['hour', '30 days'],
];

function Load({
  name,
  isUp,
  memoryBytes,
}: {
  name: string;
  isUp: boolean;
  memoryBytes: number | undefined;
}) {
  const [span, setSpan] = useState<Span>('sample');
  const samples = useLoaded(
    (until) =>
      ask<{ points: SamplePoint[] }>(`/v1/hosts/${encodeURIComponent(name)}/samples?span=${span}`, {
        signal: until,
      }),
    [name, span],
    isUp ? LOOK_MS : undefined,
  );
  return (
    <section class="panel">
      <div class="row between">
        <h2>How busy it is</h2>
        <div class="switch" role="group" aria-label="The last">
          {SPANS.map(([each, words]) => (
            <button
              key={each}
              type="button"
              aria-pressed={each === span}
              onClick={() => setSpan(each)}
            >
              {words}
            </button>
          ))}
        </div>
      </div>
      <Shown of={samples} what="samples" lines={3}>
        {({ points }) =>
          points.length === 0 ? (
            <Empty title="Nothing was measured in that time.">
              <p>
                A sample comes each 10 s while the host is up. Another controller may have the
                newest.
              </p>
            </Empty>
          ) : (
            <HostCharts points={points} span={span} memoryBytes={memoryBytes} />
          )
        }
      </Shown>
    </section>
  );
}

function Guests({ host, isOld }: { host: string; isOld: boolean }) {
  // Asked anew whenever the events say that something of the host's guests changed.
  const now = fleet.hosts.get(host)?.guests;
  void shape.value;
  void loaded.value;
  const guests = useLoaded(
    (until) =>
      ask<{ guests: FleetGuest[]; next?: string }>(
        `/v1/guests?host=${encodeURIComponent(host)}&limit=${MOST_GUESTS}`,
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
            <p class="soft">No guest is on it.</p>
          ) : (
            <div class="scrolls" tabIndex={0} role="group" aria-label={`Guests of ${host}`}>
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
            </div>
          )
        }
      </Shown>
    </section>
  );
}

function Programs({ host: { info } }: { host: Detail }) {
  if (info === undefined) return null;
  return (
    <section class="panel">
      <h2>What it has</h2>
      <dl class="pairs">
        {info.hypervisors.map((each) => (
          <>
            <dt>{each.driver}</dt>
            <dd>
              {each.version}{' '}
              <span class="soft">
                ({each.binary}; {each.accelerators.join(', ') || 'no accelerator'})
              </span>
            </dd>
          </>
        ))}
        <dt>bridges</dt>
        <dd>{info.bridges.join(', ') || 'none'}</dd>
        <dt>links</dt>
        <dd>
          {info.links
            .filter(({ name }) => name !== 'lo')
            .map(({ name, up, mtu }) => `${name}${up ? '' : ' (down)'}, MTU ${mtu}`)
            .join('; ') || 'none'}
        </dd>
      </dl>
    </section>
  );
}
