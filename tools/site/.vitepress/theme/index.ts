import './site.css';

/** The default theme with the fonts of the reader's system: a site without outside resources, and a small one. */
export { default } from 'vitepress/theme-without-fonts';
