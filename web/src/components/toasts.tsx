import { useEffect } from 'preact/hooks';
import { dismiss, toasts, type Toast } from '../base/toasts.ts';
import { Icon } from './icons.tsx';

/** Long enough to read it and to follow its link; the pages have the same. */
const SHOWN_MS = 15_000;

/** The outcomes of the last actions, each with a link to its result. */
export function Toasts() {
  return (
    <div class="toasts" role="status" aria-label="Results">
      {toasts.value.map((each) => (
        <OneToast key={each.id} toast={each} />
      ))}
    </div>
  );
}

function OneToast({ toast: { id, words, tone, link } }: { toast: Toast }) {
  useEffect(() => {
    const timer = setTimeout(() => dismiss(id), SHOWN_MS);
    return () => clearTimeout(timer);
  }, [id]);
  return (
    <div class={`toast notice ${tone}`}>
      <Icon of={tone} size={16} />
      <span class="grow">
        {words}{' '}
        {link === undefined ? null : (
          <a href={link.href} onClick={() => dismiss(id)}>
            {link.words}
          </a>
        )}
      </span>
      <button type="button" class="quiet square" aria-label="Close" onClick={() => dismiss(id)}>
        <Icon of="bad" size={10} />
      </button>
    </div>
  );
}
