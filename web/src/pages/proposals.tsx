import { formatDuration } from '../../../src/protocol/quantity.ts';
import type { Policy, Proposal } from '../../../src/protocol/controller/policy.ts';
import { ask } from '../base/http.ts';
import { useLoaded } from '../base/load.ts';
import { place, putQuery } from '../base/router.ts';
import { mayOperate } from '../base/session.ts';
import { agoText, counted, momentText } from '../base/text.ts';
import { Icon, type Glyph } from '../components/icons.tsx';
import { Shown } from '../components/loaded.tsx';
import { Empty } from '../components/notices.tsx';
import { Badge, type Tone } from '../components/states.tsx';
import {
  benefitText,
  costText,
  isMoved,
  isUndecided,
  policyTitle,
  proposalTitle,
} from '../policies/text.ts';
import { isOpen, knownRequests } from '../requests/requests.ts';
import { Decide, LookNow } from './proposals-actions.tsx';

const LOOK_MS = 15_000;

const LOOKS: Readonly<Record<Proposal['state'], readonly [string, Tone, Glyph]>> = {
  open: ['open', 'accent', 'wait'],
  snoozed: ['put off', 'calm', 'wait'],
  accepted: ['accepted, moves under way', 'accent', 'moving'],
  rejected: ['rejected', 'calm', 'bad'],
  expired: ['expired', 'calm', 'bad'],
  done: ['done', 'good', 'good'],
  left: ['ended, not all moved', 'warn', 'stay'],
};

const MOVED: (typeof LOOKS)['done'] = ['accepted, moves have ended', 'good', 'good'];

/** A request that this page does not know may be open. */
function hasEnded(request: string): boolean {
  const known = knownRequests()?.find(({ id }) => id === request);
  return known !== undefined && !isOpen(known);
}

const STATES = Object.keys(LOOKS) as Proposal['state'][];

interface Page {
  readonly proposals: readonly Proposal[];
  readonly next?: string;
}

/** Proposals of standing policies, and their outcomes. */
export function ProposalsPage() {
  const state = STATES.find((each) => each === place.value.query.get('state')) ?? 'open';
  const isAll = place.value.query.get('state') === 'all';
  const query = isAll ? '' : `?state=${state}`;
  const found = useLoaded(
    (until) => ask<Page>(`/v1/proposals${query}`, { signal: until }),
    [query],
    LOOK_MS,
  );
  const policies = useLoaded(
    (until) => ask<{ policies: Policy[] }>('/v1/policies', { signal: until }),
    [],
    LOOK_MS,
  );
  const again = (): void => {
    found.again();
    policies.again();
  };
  return (
    <div class="stack">
      <header class="head-row">
        <h1>Proposals</h1>
        <span class="grow" />
        <label class="row">
          <span class="soft">Show</span>
          <select
            value={isAll ? 'all' : state}
            onChange={(event) => putQuery({ state: event.currentTarget.value })}
          >
            {STATES.map((each) => (
              <option key={each} value={each}>
                {LOOKS[each][0]}
              </option>
            ))}
            <option value="all">all</option>
          </select>
        </label>
      </header>
      <Shown of={policies} what="the policies" lines={2}>
        {({ policies: all }) => <Policies all={all} again={again} />}
      </Shown>
      <Shown of={found} what="proposals" lines={4}>
        {({ proposals, next }) => (
          <>
            {proposals.length === 0 ? <None state={isAll ? undefined : LOOKS[state][0]} /> : null}
            {proposals.map((each) => (
              <OneProposal
                key={each.id}
                proposal={each}
                policy={policies.value?.policies.find(
                  ({ kind, scope }) => kind === each.kind && scope === each.scope,
                )}
                again={again}
              />
            ))}
            {next === undefined ? null : <p class="soft">Older ones are not shown.</p>}
          </>
        )}
      </Shown>
    </div>
  );
}

function None({ state }: { state: string | undefined }) {
  return (
    <Empty title={state === undefined ? 'No proposals yet.' : `No proposal is ${state}.`}>
      <p>Every five minutes, policies check the fleet and propose moves here with their reasons.</p>
    </Empty>
  );
}

const MODE_WORDS: Readonly<Record<Policy['mode'], string>> = {
  off: 'off',
  propose: 'proposes moves; a person accepts each proposal',
  approve: 'proposes moves; accepting one proposal accepts all that were made with it',
  automatic: 'automatic: accepts its own proposals',
};

function Policies({ all, again }: { all: readonly Policy[]; again: () => void }) {
  return (
    <div class="columns">
      {all.map((policy) => {
        const { kind, scope, mode, look, hosts } = policy;
        return (
          <section key={`${kind} ${scope}`} class="panel stack">
            <div class="row">
              <h2>{policyTitle(policy)}</h2>
              <span class="grow" />
              {mode !== 'off' && mayOperate() ? <LookNow policy={policy} again={again} /> : null}
            </div>
            <p class="soft">
              {MODE_WORDS[mode]}
              {hosts === undefined ? '' : `; ${counted(hosts.length, 'host')}`}
            </p>
            {look === undefined ? (
              <p class="soft">It has not checked the fleet yet.</p>
            ) : (
              <>
                <p>
                  {look.words}{' '}
                  <time class="soft" title={momentText(look.atMs)}>
                    ({agoText(Date.now() - look.atMs)})
                  </time>
                </p>
                {look.refusals.length === 0 ? null : (
                  <details>
                    <summary>
                      {counted(look.refusals.length, 'guest or host', 'guests or hosts')} left out,
                      and why
                    </summary>
                    <ul class="advice">
                      {look.refusals.map((each) => (
                        <li key={each}>{each}</li>
                      ))}
                    </ul>
                  </details>
                )}
              </>
            )}
          </section>
        );
      })}
    </div>
  );
}

function OneProposal({
  proposal,
  policy,
  again,
}: {
  proposal: Proposal;
  policy: Policy | undefined;
  again: () => void;
}) {
  const { state, words, benefit, cost, moves, createdAtMs } = proposal;
  const [word, tone, glyph] = isMoved(proposal, hasEnded) ? MOVED : LOOKS[state];
  return (
    <article class="panel stack">
      <div class="row">
        <h3 class="grow">{proposalTitle(proposal)}</h3>
        <Badge tone={tone} glyph={glyph}>
          {word}
        </Badge>
      </div>
      <dl class="facts">
        <div>
          <dt>expected benefit</dt>
          <dd>{benefitText(benefit)}</dd>
        </div>
        <div>
          <dt>cost of the moves</dt>
          <dd>{costText(cost)}</dd>
        </div>
        <Came proposal={proposal} />
      </dl>
      <Moves moves={moves} />
      <details>
        <summary>Figures of the planner</summary>
        <p>{words}</p>
        <ul class="advice">
          {moves.slice(0, MAX_EXPLAINED).map(({ guest, words: why }) => (
            <li key={guest}>
              {guest}: {why}
            </li>
          ))}
        </ul>
      </details>
      <div class="row">
        <span class="soft grow">
          {policyTitle(proposal)}, proposed{' '}
          <time title={momentText(createdAtMs)}>{agoText(Date.now() - createdAtMs)}</time>
          <Decided proposal={proposal} />
        </span>
        {isUndecided(proposal) && mayOperate() ? (
          <Decide proposal={proposal} mode={policy?.mode} again={again} />
        ) : null}
      </div>
    </article>
  );
}

/** What it came to, beside what was expected. */
function Came({ proposal: { actual, moves } }: { proposal: Proposal }) {
  if (actual === undefined) return null;
  return (
    <div>
      <dt>result</dt>
      <dd>
        {actual.moved} of {counted(moves.length, 'move')} in {formatDuration(actual.seconds * 1000)}
        {actual.benefit === undefined ? '' : `; ${benefitText(actual.benefit)}`}
      </dd>
    </div>
  );
}

function Decided({
  proposal: { state, decidedBy, decidedAtMs, why, requests },
}: {
  proposal: Proposal;
}) {
  const by = decidedBy === undefined ? '' : ` by ${decidedBy}`;
  const when = decidedAtMs === undefined ? '' : `, ${agoText(Date.now() - decidedAtMs)}`;
  const word = state === 'rejected' ? 'rejected' : state === 'snoozed' ? 'put off' : 'accepted';
  return (
    <>
      {decidedBy === undefined ? '' : `; ${word}${by}${when}`}
      {why === undefined ? '' : `: ${why}`}
      {requests.slice(0, 5).map((id) => (
        <span key={id}>
          {' '}
          <a href={`/requests/${id}`} class="whole">
            its move
          </a>
        </span>
      ))}
    </>
  );
}

/** Moves whose reasons are listed. */
const MAX_EXPLAINED = 20;
/** Of one that empties a host there may be hundreds. */
const SHOWN_MOVES = 3;

function Moves({ moves }: { moves: Proposal['moves'] }) {
  const list = (some: Proposal['moves']) => (
    <ul class="proposed">
      {some.map(({ guest, from, to, alternatives }) => (
        <li key={guest}>
          <span class="whole">
            <a href={`/guests/${guest}`}>{guest}</a> {from} <Icon of="moving" size={11} /> {to}
          </span>
          {alternatives.length === 0 ? null : (
            <span class="soft">{alternatives.join(' or ')} would do too</span>
          )}
        </li>
      ))}
    </ul>
  );
  return (
    <>
      {list(moves.slice(0, SHOWN_MOVES))}
      {moves.length > SHOWN_MOVES ? (
        <details>
          <summary>{counted(moves.length - SHOWN_MOVES, 'further move')}</summary>
          {list(moves.slice(SHOWN_MOVES))}
        </details>
      ) : null}
    </>
  );
}
