/** Says of a request by script that a page of the controller's own made it: no form and no link of another sends it. */
const OWN_HEADER = 'x-godwit-request';

export interface RequestFacts {
  readonly method: string;
  readonly headers: Readonly<Record<string, string | string[] | undefined>>;
  /** Whether its rights come from a cookie, which a browser sends by itself. */
  readonly hasCookie: boolean;
  /** The origin by which browsers reach this server; undefined: the one that they say with Host. */
  readonly origin: string | undefined;
}

/** Why a request may be one that another site made a browser send; undefined where it is not. */
export function whyForged({
  method,
  headers,
  hasCookie,
  origin,
}: RequestFacts): string | undefined {
  if (method === 'GET' || method === 'HEAD') return undefined;
  const said = headers['origin'];
  const site = headers['sec-fetch-site'];
  const own = origin ?? `https://${String(headers['host'])}`;
  if (said !== undefined && said !== own) return `it comes from ${String(said).slice(0, 200)}`;
  if (site !== undefined && site !== 'same-origin' && site !== 'none')
    return `it comes from another site (${String(site).slice(0, 40)})`;
  if (!hasCookie) return undefined;
  if (headers[OWN_HEADER] !== '1') return `the header ${OWN_HEADER}: 1 is missing`;
  if (said === undefined && site !== 'same-origin') return 'neither Origin nor Sec-Fetch-Site came';
  return undefined;
}
