import type { GodwitError } from '../../errors.ts';
import { html } from '../../formats/html.ts';

/** What a person reads who comes back from a provider and is not let in: a page without a script. Pure. */
export function refusalPage({ code, message, hint }: GodwitError): string {
  return html`<!doctype html>
    <html lang="en">
      <head>
        <meta charset="utf-8" />
        <meta name="viewport" content="width=device-width, initial-scale=1" />
        <meta name="color-scheme" content="light dark" />
        <title>Not signed in - Godwit</title>
        <link rel="icon" href="/icon.svg" type="image/svg+xml" />
        <link rel="stylesheet" href="/app.css" />
      </head>
      <body>
        <main class="login" id="main">
          <div class="panel">
            <h1>Not signed in</h1>
            <p role="alert">${message}</p>
            <p class="soft">${hint}</p>
            <p class="soft"><code>${code}</code></p>
            <a class="button primary" href="/">Back to the sign-in page</a>
          </div>
        </main>
      </body>
    </html> `.text;
}
