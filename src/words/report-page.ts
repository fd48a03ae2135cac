import { html, type Markup } from '../formats/html.ts';
import { STYLE } from './report-style.ts';

export interface ReportPage {
  readonly title: string;
  readonly header: Markup;
  readonly main: Markup;
}

export function reportPage({ title, header, main }: ReportPage): string {
  const page = html`<!doctype html>
    <html lang="en">
      <head>
        <meta charset="utf-8" />
        <meta
          http-equiv="Content-Security-Policy"
          content="default-src 'none'; style-src 'unsafe-inline'"
        />
        <meta name="viewport" content="width=device-width, initial-scale=1" />
        <meta name="color-scheme" content="light dark" />
        <title>${title}</title>
        <style>
          ${STYLE}
        </style>
      </head>
      <body>
        <header>${header}</header>
        <main>${main}</main>
      </body>
    </html> `;
  return page.text;
}
