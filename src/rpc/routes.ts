import type { Contract, Route } from '../protocol/route.ts';

interface PathPart {
  readonly literal?: string;
  readonly param?: string;
}

interface Entry {
  readonly key: string;
  readonly route: Route;
  readonly places: readonly PathPart[];
}

export interface Match {
  readonly key: string;
  readonly route: Route;
  /** Decoded, not yet validated. */
  readonly params: Readonly<Record<string, string>>;
}

/** Finds the route of a contract for a method and a path without query; undefined when there is none. */
export function router(contract: Contract): (method: string, path: string) => Match | undefined {
  const entries: Entry[] = Object.entries(contract).map(([key, route]) => ({
    key,
    route,
    places: split(route.path).map((part) =>
      part.startsWith(':') ? { param: part.slice(1) } : { literal: part },
    ),
  }));
  return (method, path) => {
    const parts = split(path);
    for (const { key, route, places } of entries) {
      if (route.method !== method || places.length !== parts.length) continue;
      const params = matchPlaces(places, parts);
      if (params !== undefined) return { key, route, params };
    }
    return undefined;
  };
}

/** The path that a request asks for, and its query: all that stands behind the first question mark. */
export function splitUrl(url = ''): { readonly path: string; readonly search: string } {
  const at = url.indexOf('?');
  return at < 0 ? { path: url, search: '' } : { path: url.slice(0, at), search: url.slice(at + 1) };
}

function split(path: string): string[] {
  return path.split('/').slice(1);
}

function matchPlaces(
  places: readonly PathPart[],
  parts: readonly string[],
): Record<string, string> | undefined {
  const params: Record<string, string> = {};
  for (const [index, { literal, param }] of places.entries()) {
    const part = parts[index] ?? '';
    if (literal !== undefined && literal !== part) return undefined;
    if (param === undefined) continue;
    const decoded = decode(part);
    if (decoded === undefined) return undefined;
    params[param] = decoded;
  }
  return params;
}

function decode(part: string): string | undefined {
  try {
    return decodeURIComponent(part);
  } catch {
    return undefined;
  }
}
