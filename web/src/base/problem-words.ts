/** A problem as a person at the dashboard reads it. Pure. */

export interface Words {
  readonly code: string;
  readonly message: string;
  readonly hint: string;
}

const ROUTE = /\b(?:GET|POST|PUT|DELETE|PATCH) \/[^\s:;,]*|\/v1\/[^\s:;,]+/g;

/** Without routes of the API, which mean nothing to a person, and with a hint that fits a browser. */
export function personWords({ code, message, hint }: Words): Words {
  switch (code) {
    case 'GODWIT_ROUTE_UNKNOWN':
      return {
        code,
        message: 'the controller does not have what this page asks for',
        hint: 'The page and the controller may be of different builds: load the page again.',
      };
    case 'GODWIT_ROLE_FORBIDDEN':
      return {
        code,
        message: message.replaceAll(ROUTE, 'this page or action'),
        hint: 'Sign out, and sign in as someone with that role.',
      };
    default:
      return { code, message: message.replaceAll(ROUTE, 'the request'), hint };
  }
}

/** Words that may begin a sentence and are not the name of a host or guest. */
const OPENERS = new Set(
  'a an all another at both each every in it its more no none not nothing of on one only other some that the there these this those to too two your'.split(
    ' ',
  ),
);

/** The message as a sentence. A name at its beginning keeps its letters. */
export function sentence(text: string): string {
  const [opener = ''] = text.split(/[ ,;]/, 1);
  const first = OPENERS.has(opener) ? text.charAt(0).toUpperCase() + text.slice(1) : text;
  return /[.!?]$/.test(first) ? first : `${first}.`;
}
