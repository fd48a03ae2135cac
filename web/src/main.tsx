import './style/tokens.css';
import './style/base.css';
import './style/components.css';
import './style/pages.css';
import './style/details.css';
import { render } from 'preact';
import { useEffect } from 'preact/hooks';
import { followLinks } from './base/router.ts';
import { findSession, signed } from './base/session.ts';
import { showTheme } from './base/theme.ts';
import { watchFleet } from './fleet/fleet.ts';
import { Login } from './pages/login.tsx';
import { Loading, ProblemNote } from './components/notices.tsx';
import { Shell } from './components/shell.tsx';
import { Page } from './pages/page.tsx';

function App() {
  const now = signed.value;
  const isIn = now.state === 'in';
  useEffect(() => {
    if (!isIn) return undefined;
    const ended = new AbortController();
    watchFleet(ended.signal);
    return () => ended.abort();
  }, [isIn]);
  switch (now.state) {
    case 'asking':
      return (
        <main class="login">
          <Loading what="your session" lines={1} />
        </main>
      );
    case 'out':
      return <Login methods={now.methods} ended={now.ended === true} />;
    case 'unknown':
      return (
        <main class="login" id="main">
          <h1 class="hidden">Godwit</h1>
          <ProblemNote problem={now.problem} again={() => void findSession()} />
        </main>
      );
    case 'in':
      return (
        <Shell>
          <Page />
        </Shell>
      );
  }
}

const root = document.querySelector('#app');
if (root !== null) {
  showTheme();
  followLinks();
  render(<App />, root);
  void findSession();
}
