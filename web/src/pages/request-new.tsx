import { useMemo, useRef, useState } from 'preact/hooks';
import { asProblem, type Problem } from '../base/http.ts';
import { useLoaded } from '../base/load.ts';
import { go, place, putQuery } from '../base/router.ts';
import { mayOperate } from '../base/session.ts';
import { toast } from '../base/toasts.ts';
import { fleet, loaded, shape } from '../fleet/fleet.ts';
import { Icon } from '../components/icons.tsx';
import { Shown } from '../components/loaded.tsx';
import { Empty, ProblemNote } from '../components/notices.tsx';
import { askOf, formIn, titleOf, type Form } from '../requests/ask.ts';
import { acceptedWords, expectResult, linkTo } from '../requests/results.ts';
import { begin, newRequestId, planOf } from '../requests/requests.ts';
import { MovePrediction } from './move-prediction.tsx';
import { PlanView } from './request-plan.tsx';

/** Choose, preview, confirm. The plan is a dry run: until the last button nothing changes anywhere. */
export function NewRequestPage() {
  const form = formIn(place.value.query);
  const title = form.kind === 'migration' ? 'Move a guest' : 'Empty hosts';
  return (
    <div class="stack narrow">
      <nav class="trail" aria-label="Where this is">
        <a href="/requests">Drains and moves</a> / <span aria-current="page">{title}</span>
      </nav>
      <h1>{title}</h1>
      {mayOperate() ? (
        <>
          <Fields form={form} />
          <Plan form={form} />
        </>
      ) : (
        <Empty title="A viewer cannot make requests.">
          <p>Moves and drains require the role operator.</p>
        </Empty>
      )}
    </div>
  );
}

function Fields({ form }: { form: Form }) {
  void shape.value;
  void loaded.value;
  const isMove = form.kind === 'migration';
  return (
    <section class="panel stack">
      <div class="switch" role="group" aria-label="What">
        <button
          type="button"
          aria-pressed={!isMove}
          onClick={() => putQuery({ kind: 'drain', guest: undefined })}
        >
          <Icon of="draining" /> Empty hosts
        </button>
        <button
          type="button"
          aria-pressed={isMove}
          onClick={() => putQuery({ kind: 'migration', hosts: undefined })}
        >
          <Icon of="moving" /> Move one guest
        </button>
      </div>
      {isMove ? (
        <label class="field">
          Guest
          <input
            type="text"
            value={form.guest}
            spellcheck={false}
            onChange={(event) => putQuery({ guest: event.currentTarget.value.trim() })}
          />
        </label>
      ) : (
        <HostPicker
          name="Hosts to empty"
          empty="none yet"
          names={form.hosts}
          put={(hosts) => putQuery({ hosts: hosts.join(',') })}
        />
      )}
      <HostPicker
        name="Where guests may go"
        empty="anywhere"
        names={form.to}
        put={(to) => putQuery({ to: to.join(',') })}
      />
      <details
        open={
          form.maxParallel !== '' || form.deadline !== '' || form.mode !== '' || form.path !== ''
        }
      >
        <summary>How</summary>
        <div class="form-grid">
          <label class="field">
            Moves at a time
            <input
              type="number"
              min={1}
              max={1000}
              value={form.maxParallel}
              onChange={(event) => putQuery({ parallel: event.currentTarget.value })}
            />
            <small>empty: the best hosts by the plan</small>
          </label>
          <label class="field">
            Deadline, minutes from now
            <input
              type="number"
              min={1}
              value={form.deadline}
              onChange={(event) => putQuery({ deadline: event.currentTarget.value })}
            />
            <small>after the deadline it continues, and is reported as late</small>
          </label>
          <label class="field">
            Mode
            <select
              value={form.mode}
              onChange={(event) => putQuery({ mode: event.currentTarget.value })}
            >
              <option value="">as usual (pre-copy)</option>
              <option value="precopy">pre-copy</option>
              <option value="hybrid">hybrid</option>
              <option value="postcopy">post-copy</option>
            </select>
            <small>when memory moves: before the switchover, after it, or both</small>
          </label>
          <label class="field">
            Data path
            <select
              value={form.path}
              onChange={(event) => putQuery({ path: event.currentTarget.value })}
            >
              <option value="">as usual (native)</option>
              <option value="native">native</option>
              <option value="wire">wire</option>
            </select>
            <small>from hypervisor to hypervisor, or with less data through the movers</small>
          </label>
        </div>
      </details>
    </section>
  );
}

interface PickerProps {
  readonly name: string;
  readonly empty: string;
  readonly names: readonly string[];
  readonly put: (names: readonly string[]) => void;
}

function HostPicker({ name, empty, names, put }: PickerProps) {
  const field = useRef<HTMLInputElement>(null);
  const id = `hosts-${name.length}`;
  const others = useMemo(
    () => [...fleet.hosts.keys()].filter((each) => !names.includes(each)).slice(0, 2000),
    [shape.value, names.join()],
  );
  const add = (text: string): void => {
    const host = text.trim();
    if (!fleet.hosts.has(host) || names.includes(host)) return;
    put([...names, host]);
    if (field.current !== null) field.current.value = '';
  };
  return (
    <div class="field-group">
      <span class="label" id={`${id}-label`}>
        {name}
      </span>
      <div class="row">
        {names.length === 0 ? <span class="soft">{empty}</span> : null}
        {names.map((each) => (
          <span key={each} class="token">
            {each}
            {fleet.hosts.size > 0 && !fleet.hosts.has(each) ? (
              <span class="bad"> (not of this fleet)</span>
            ) : null}
            <button
              type="button"
              class="quiet"
              aria-label={`Without ${each}`}
              onClick={() => put(names.filter((one) => one !== each))}
            >
              <Icon of="bad" size={9} />
            </button>
          </span>
        ))}
        <input
          ref={field}
          type="text"
          list={id}
          placeholder="add a host"
          spellcheck={false}
          aria-labelledby={`${id}-label`}
          onInput={(event) => add(event.currentTarget.value)}
          onKeyDown={(event) => {
            if (event.key === 'Enter') add(event.currentTarget.value);
          }}
        />
        <datalist id={id}>
          {others.map((each) => (
            <option key={each} value={each} />
          ))}
        </datalist>
      </div>
    </div>
  );
}

function Plan({ form }: { form: Form }) {
  const wanted = askOf(form, Date.now());
  if ('wrong' in wanted) {
    return (
      <Empty title={wanted.wrong}>
        <p>
          The plan appears here: the moves with their predicted times, and the guests that stay with
          the reasons.
        </p>
      </Empty>
    );
  }
  return <Planned form={form} />;
}

function Planned({ form }: { form: Form }) {
  const inputs = JSON.stringify(form);
  const id = useMemo(newRequestId, [inputs]);
  const [problem, setProblem] = useState<Problem>();
  const [isBusy, setBusy] = useState(false);
  const bodyNow = () => {
    const wanted = askOf(form, Date.now());
    if ('wrong' in wanted) throw new Error(wanted.wrong);
    return wanted.ask;
  };
  const plan = useLoaded((until) => planOf(id, bodyNow(), until), [inputs]);
  const confirm = async (): Promise<void> => {
    setBusy(true);
    setProblem(undefined);
    try {
      // The same id again: asked twice, by whatever way, it is one request.
      const body = bodyNow();
      await begin(id, body);
      expectResult(id);
      toast({ words: acceptedWords(body), link: linkTo(id) });
      go(`/requests/${id}`);
    } catch (thrown) {
      setProblem(asProblem(thrown));
      setBusy(false);
    }
  };
  const title = titleOf({ kind: form.kind, hosts: [...form.hosts], guest: form.guest });
  const [step] = form.kind === 'migration' ? (plan.value?.plan.steps ?? []) : [];
  const isNow = plan.problem === undefined && plan.value !== undefined;
  return (
    <>
      <div class="row between">
        <h2>The plan, if you confirm</h2>
        <button type="button" onClick={plan.again}>
          Plan again
        </button>
      </div>
      <Shown of={plan} what="the plan" lines={4}>
        {({ plan: found }) => <PlanView plan={found} isMove={form.kind === 'migration'} />}
      </Shown>
      {step === undefined ? null : (
        <MovePrediction
          key={`${step.guest} ${step.to}`}
          guest={step.guest}
          to={step.to}
          asked={form}
        />
      )}
      {problem === undefined ? null : <ProblemNote problem={problem} />}
      <div class="row confirm">
        <button
          type="button"
          class="primary big"
          disabled={!isNow || isBusy}
          onClick={() => void confirm()}
        >
          {isBusy ? 'Asking…' : `Begin: ${title.charAt(0).toLowerCase()}${title.slice(1)}`}
        </button>
        <span class="soft">
          Nothing has changed yet. You can cancel the request after its start.
        </span>
      </div>
    </>
  );
}
