import { useRef, useState } from 'preact/hooks';
import type { SignInMethods } from '../../../src/protocol/controller/session.ts';
import { asProblem, type Problem } from '../base/http.ts';
import { signIn } from '../base/session.ts';
import { ProblemNote } from '../components/notices.tsx';

/** A person who followed a link comes to where it leads. */
const here = (): string => location.pathname + location.search;

/** For whoever is not signed in. */
export function Login({ methods, ended }: { methods: SignInMethods; ended: boolean }) {
  const [problem, setProblem] = useState<Problem>();
  const [isBusy, setBusy] = useState(false);
  const field = useRef<HTMLInputElement>(null);
  const submit = async (event: Event): Promise<void> => {
    event.preventDefault();
    const token = field.current?.value.trim() ?? '';
    if (token === '') return field.current?.focus();
    setBusy(true);
    setProblem(undefined);
    try {
      await signIn(token);
    } catch (thrown) {
      setProblem(asProblem(thrown));
      field.current?.select();
    } finally {
      setBusy(false);
    }
  };
  return (
    <main class="login" id="main" tabIndex={-1}>
      <form class="panel" onSubmit={(event) => void submit(event)}>
        <div class="row">
          <img src="/icon.svg" alt="" width="34" height="34" />
          <h1>Godwit</h1>
        </div>
        <p class="soft">
          {ended
            ? 'Your session has ended. Sign in again.'
            : 'Live migration of virtual machines and containers.'}
        </p>
        {methods.oidc === undefined ? null : (
          <>
            <a
              class="button primary"
              href={`/v1/session/oidc?to=${encodeURIComponent(here())}`}
              target="_self"
            >
              Sign in with {methods.oidc.name}
            </a>
            <p class="or soft">or with a token</p>
          </>
        )}
        <label class="field">
          Token
          <input
            ref={field}
            type="password"
            name="token"
            autocomplete="current-password"
            autocapitalize="none"
            spellcheck={false}
            placeholder="gdw_…"
            required
            aria-describedby="token-help"
          />
        </label>
        <button type="submit" class={methods.oidc === undefined ? 'primary' : ''} disabled={isBusy}>
          {isBusy ? 'Signing in…' : 'Sign in'}
        </button>
        {problem === undefined ? null : <ProblemNote problem={problem} />}
        <p class="help" id="token-help">
          An administrator can make one at the controller:{' '}
          <code>godwit token create NAME --role operator</code>
        </p>
      </form>
    </main>
  );
}
