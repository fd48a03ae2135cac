import { useEffect, useState } from 'preact/hooks';
import { asProblem } from '../base/http.ts';
import { connection } from '../base/live.ts';
import { place } from '../base/router.ts';
import { isAdmin, signed, signOut } from '../base/session.ts';
import { showTheme, theme, THEMES, type Theme } from '../base/theme.ts';
import { agoText } from '../base/text.ts';
import { isOpen, knownRequests } from '../requests/requests.ts';
import { Icon, type Glyph } from './icons.tsx';
import { OwnProblems } from './own-problems.tsx';
import { Toasts } from './toasts.tsx';

interface NavigationLink {
  readonly path: string;
  readonly name: string;
  readonly also: RegExp;
  /** Nobody else is answered there. */
  readonly forAdmins?: true;
}

const PAGES: readonly NavigationLink[] = [
  { path: '/', name: 'Fleet', also: /^\/hosts\// },
  { path: '/guests', name: 'Guests', also: /^\/guests\// },
  { path: '/requests', name: 'Drains and moves', also: /^\/requests/ },
  { path: '/migrations', name: 'Migrations', also: /^\/migrations/ },
  { path: '/proposals', name: 'Proposals', also: /^\/proposals/ },
  { path: '/insight', name: 'Insight', also: /^\/insight/ },
  { path: '/audit', name: 'Audit log', also: /^\/audit/, forAdmins: true },
];

/** What stands around every page: where to go, who is here, and whether what is shown is of now. */
export function Shell({ children }: { children: preact.ComponentChildren }) {
  const { path } = place.value;
  const open = knownRequests()?.filter(isOpen).length ?? 0;
  return (
    <>
      <a class="skip" href="#main">
        Skip to the content
      </a>
      <header class="top">
        <a class="brand" href="/" aria-label="Godwit, the fleet">
          <img src="/icon.svg" alt="" width="22" height="22" />
          <span>Godwit</span>
        </a>
        <nav aria-label="Pages">
          {PAGES.filter(({ forAdmins }) => forAdmins === undefined || isAdmin()).map((page) => {
            const isHere = path === page.path || page.also.test(path);
            return (
              <a key={page.path} href={page.path} aria-current={isHere ? 'page' : undefined}>
                {page.name}
                {page.path === '/requests' && open > 0 ? (
                  <span class="pill">
                    {open}
                    <span class="hidden"> open</span>
                  </span>
                ) : null}
              </a>
            );
          })}
        </nav>
        <Standing />
        <ThemeButton />
        <Person />
      </header>
      <LostNotice />
      <OwnProblems />
      <Toasts />
      <main id="main" tabIndex={-1}>
        {children}
      </main>
    </>
  );
}

const STANDINGS = {
  connecting: { word: 'connecting', tone: 'warn', glyph: 'wait' },
  live: { word: 'live', tone: 'good', glyph: 'up' },
  reconnecting: { word: 'reconnecting', tone: 'warn', glyph: 'wait' },
  lost: { word: 'connection lost', tone: 'bad', glyph: 'silent' },
} as const;

function Standing() {
  const { word, tone, glyph } = STANDINGS[connection.value.state];
  return (
    <span class={`standing ${tone}`} role="status">
      <Icon of={glyph} size={11} />
      {word}
    </span>
  );
}

/** What is shown is old: since when, and that nobody need do anything for it to come back. */
function LostNotice() {
  const { value } = connection;
  const [, tick] = useState(0);
  const isLost = value.state === 'lost';
  useEffect(() => {
    if (!isLost) return undefined;
    const timer = setInterval(() => tick((before) => before + 1), 1000);
    return () => clearInterval(timer);
  }, [isLost]);
  if (value.state !== 'lost') return null;
  return (
    <div class="lost" role="alert">
      <Icon of="silent" />
      <span>
        <strong>
          No answer from the controller since {agoText(performance.now() - value.sinceMs)}.
        </strong>{' '}
        What you see is from then. Migrations go on without it; this page comes back by itself.
      </span>
    </div>
  );
}

const THEME_LOOKS: Readonly<Record<Theme, { glyph: Glyph; words: string }>> = {
  auto: { glyph: 'auto', words: 'as the system' },
  light: { glyph: 'sun', words: 'light' },
  dark: { glyph: 'moon', words: 'dark' },
};

function ThemeButton() {
  const { glyph, words } = THEME_LOOKS[theme.value];
  const next = THEMES[(THEMES.indexOf(theme.value) + 1) % THEMES.length] ?? 'auto';
  const title = `Colours: ${words}. Change to: ${THEME_LOOKS[next].words}`;
  return (
    <button
      type="button"
      class="quiet square"
      title={title}
      aria-label={title}
      onClick={() => showTheme(next)}
    >
      <Icon of={glyph} size={16} />
    </button>
  );
}

function Person() {
  const [failed, setFailed] = useState('');
  const now = signed.value;
  if (now.state !== 'in') return null;
  const { name, role } = now.session;
  const leave = (): void => {
    setFailed('');
    signOut().catch((thrown: unknown) => setFailed(asProblem(thrown).message));
  };
  return (
    <div class="person">
      <span title={`Signed in as ${name}, ${role}`}>
        <span class="who">{name}</span> <span class="soft">{role}</span>
      </span>
      <button type="button" class="quiet" onClick={leave}>
        Sign out
      </button>
      {failed === '' ? null : (
        <span class="bad" role="alert">
          {failed}
        </span>
      )}
    </div>
  );
}
