import { useState } from 'preact/hooks';
import type { fleetHostDetail } from '../../../src/protocol/controller/fleet.ts';
import { formatBytes } from '../../../src/protocol/quantity.ts';
import { ask, asProblem, type Problem } from '../base/http.ts';
import { useLoaded } from '../base/load.ts';
import { mayOperate } from '../base/session.ts';
import { agoText, counted, momentText, percentText } from '../base/text.ts';
import { memoryShare } from '../fleet/filter.ts';
import { fleet, revision } from '../fleet/fleet.ts';
import { Icon } from '../components/icons.tsx';
import { Shown } from '../components/loaded.tsx';
import { ProblemNote } from '../components/notices.tsx';
import { Badge, HOST_STATES, HostBadge } from '../components/states.tsx';
import { endDrain } from '../requests/end-drain.ts';
import { HostLoad } from './host-charts.tsx';
import { HostGuests } from './host-guests.tsx';

type Detail = ReturnType<typeof fleetHostDetail.parse>;

const LOOK_MS = 10_000;

/** One host: its state, its load, and its guests. */
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
        <div class={`notice ${noticeOf(host.state)}`}>
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
      {host.excess === undefined ? null : (
        <div class="notice warn">
          <Icon of="silent" size={18} />
          <div>
            <strong>
              {host.name} is over its limit since {momentText(host.excess.since)}.
            </strong>
            <p>{host.excess.words}</p>
          </div>
        </div>
      )}
      <div class="columns wide-first">
        <Facts host={host} />
        <HostLoad name={host.name} isUp={isUp} memoryBytes={host.memoryBytes} />
      </div>
      <HostGuests host={host.name} isOld={!isUp} />
      <Programs host={host} />
    </>
  );
}

function noticeOf(state: Detail['state']): string {
  const { tone } = HOST_STATES[state];
  return tone === 'bad' || tone === 'warn' ? tone : '';
}

function Actions({ name, draining }: { name: string; draining: boolean }) {
  const [problem, setProblem] = useState<Problem>();
  const [isBusy, setBusy] = useState(false);
  if (!mayOperate()) return null;
  const end = async (): Promise<void> => {
    setBusy(true);
    setProblem(undefined);
    await endDrain(name).catch((thrown: unknown) => setProblem(asProblem(thrown)));
    setBusy(false);
  };
  return (
    <>
      {draining ? (
        <button
          type="button"
          disabled={isBusy}
          onClick={() => void end()}
          title="Guests may move to it again; an open drain of the host is cancelled"
        >
          <Icon of="back" /> {isBusy ? 'Ending the drain…' : 'End the drain'}
        </button>
      ) : (
        <a class="button" href={`/requests/new?kind=drain&hosts=${encodeURIComponent(name)}`}>
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

function Programs({ host: { info } }: { host: Detail }) {
  if (info === undefined) return null;
  return (
    <section class="panel">
      <h2>Hardware</h2>
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
