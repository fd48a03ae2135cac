import type { Wish } from '../../../src/protocol/controller/wish.ts';
import { Problem } from '../base/http.ts';
import { mayOperate } from '../base/session.ts';
import { agoText, counted, momentText } from '../base/text.ts';
import { Icon, type Glyph } from '../components/icons.tsx';
import { Bar } from '../components/meter.tsx';
import { Empty, Loading, ProblemNote } from '../components/notices.tsx';
import { Badge, type Tone } from '../components/states.tsx';
import { howFar, titleOf } from '../wishes/ask.ts';
import { askForWishes, isOpen, wishes } from '../wishes/wishes.ts';

const LOOKS: Readonly<Record<Wish['phase'], readonly [string, Tone, Glyph]>> = {
  working: ['working', 'accent', 'moving'],
  cancelling: ['being cancelled', 'warn', 'back'],
  done: ['done', 'good', 'good'],
  left: ['ended, guests left', 'warn', 'stay'],
  cancelled: ['cancelled', 'calm', 'bad'],
};

export function PhaseBadge({ phase }: { phase: Wish['phase'] }) {
  const [word, tone, glyph] = LOOKS[phase];
  return (
    <Badge tone={tone} glyph={glyph}>
      {word}
    </Badge>
  );
}

/** What people asked of the fleet: what is open first, then what has ended, newest first. */
export function WishesPage() {
  const { value } = wishes;
  return (
    <div class="stack">
      <header class="head-row">
        <h1>Drains and moves</h1>
        <span class="grow" />
        {mayOperate() ? (
          <a class="button primary" href="/wishes/new">
            <Icon of="draining" /> Drain, evacuate or move…
          </a>
        ) : null}
      </header>
      {value === undefined ? <Loading what="the requests" /> : null}
      {value instanceof Problem ? (
        <ProblemNote
          problem={value}
          again={() => void askForWishes(new AbortController().signal)}
        />
      ) : null}
      {value === undefined || value instanceof Problem ? null : <Lists all={value} />}
    </div>
  );
}

function Lists({ all }: { all: readonly Wish[] }) {
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
          {open.map((wish) => (
            <WishRow key={wish.id} wish={wish} />
          ))}
        </section>
      )}
      {ended.length === 0 ? null : (
        <section class="stack" aria-label="Ended">
          <h2>Ended</h2>
          {ended.map((wish) => (
            <WishRow key={wish.id} wish={wish} />
          ))}
        </section>
      )}
    </>
  );
}

function WishRow({ wish }: { wish: Wish }) {
  const far = howFar(wish, [], Date.now());
  const title = titleOf(wish.ask);
  return (
    <article class="panel wish">
      <div class="row">
        <h3 class="grow">
          <a href={`/wishes/${wish.id}`}>{title}</a>
        </h3>
        <PhaseBadge phase={wish.phase} />
      </div>
      {isOpen(wish) ? <Bar percent={far.percent} label={`${title}: guests moved`} /> : null}
      <p>{wish.words}</p>
      <p class="soft number">
        {counted(far.moved, 'guest')} moved
        {far.stays > 0 ? `, ${far.stays} stay` : ''} · asked by {wish.createdBy},{' '}
        <time title={momentText(wish.createdAtMs)}>{agoText(Date.now() - wish.createdAtMs)}</time>
      </p>
    </article>
  );
}
