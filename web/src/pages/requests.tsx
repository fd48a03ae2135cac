import type { FleetRequest } from '../../../src/protocol/controller/fleet-request.ts';
import { isUnreachable, Problem } from '../base/http.ts';
import { mayOperate } from '../base/session.ts';
import { agoText, counted, momentText } from '../base/text.ts';
import { Icon, type Glyph } from '../components/icons.tsx';
import { Bar } from '../components/meter.tsx';
import { Empty, Loading, ProblemNote } from '../components/notices.tsx';
import { Badge, type Tone } from '../components/states.tsx';
import { howFar, titleOf } from '../requests/ask.ts';
import { askForRequests, isOpen, requests } from '../requests/requests.ts';

const LOOKS: Readonly<Record<FleetRequest['phase'], readonly [string, Tone, Glyph]>> = {
  working: ['working', 'accent', 'moving'],
  cancelling: ['being cancelled', 'warn', 'back'],
  done: ['done', 'good', 'good'],
  left: ['ended, guests left', 'warn', 'stay'],
  cancelled: ['cancelled', 'calm', 'bad'],
};

export function PhaseBadge({ phase }: { phase: FleetRequest['phase'] }) {
  const [word, tone, glyph] = LOOKS[phase];
  return (
    <Badge tone={tone} glyph={glyph}>
      {word}
    </Badge>
  );
}

/** What people asked of the fleet: what is open first, then what has ended, newest first. */
export function RequestsPage() {
  const { value } = requests;
  const isCut = value instanceof Problem && isUnreachable(value);
  return (
    <div class="stack">
      <header class="head-row">
        <h1>Drains and moves</h1>
        <span class="grow" />
        {mayOperate() ? (
          <a class="button primary" href="/requests/new">
            <Icon of="draining" /> Drain, evacuate or move…
          </a>
        ) : null}
      </header>
      {value === undefined || isCut ? <Loading what="the requests" /> : null}
      {value instanceof Problem && !isCut ? (
        <ProblemNote
          problem={value}
          again={() => void askForRequests(new AbortController().signal)}
        />
      ) : null}
      {value === undefined || value instanceof Problem ? null : <Lists all={value} />}
    </div>
  );
}

function Lists({ all }: { all: readonly FleetRequest[] }) {
  const open = all.filter(isOpen);
  const ended = all.filter((each) => !isOpen(each));
  if (all.length === 0) {
    return (
      <Empty title="No requests yet.">
        <p>
          Drain a host to empty it for maintenance: its guests move to other hosts while they run.
        </p>
      </Empty>
    );
  }
  return (
    <>
      {open.length === 0 ? null : (
        <section class="stack" aria-label="Open">
          <h2>Open</h2>
          {open.map((request) => (
            <RequestRow key={request.id} request={request} />
          ))}
        </section>
      )}
      {ended.length === 0 ? null : (
        <section class="stack" aria-label="Ended">
          <h2>Ended</h2>
          {ended.map((request) => (
            <RequestRow key={request.id} request={request} />
          ))}
        </section>
      )}
    </>
  );
}

function RequestRow({ request }: { request: FleetRequest }) {
  const far = howFar(request, [], Date.now());
  const title = titleOf(request.ask);
  return (
    <article class="panel request">
      <div class="row">
        <h3 class="grow">
          <a href={`/requests/${request.id}`}>{title}</a>
        </h3>
        <PhaseBadge phase={request.phase} />
      </div>
      {isOpen(request) ? <Bar percent={far.percent} label={`${title}: guests moved`} /> : null}
      <p>{request.words}</p>
      <p class="soft number">
        {counted(far.moved, 'guest')} moved
        {far.stays > 0 ? `, ${far.stays} stay` : ''} · asked by {request.createdBy},{' '}
        <time title={momentText(request.createdAtMs)}>
          {agoText(Date.now() - request.createdAtMs)}
        </time>
      </p>
    </article>
  );
}
