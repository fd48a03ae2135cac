/** The bundler puts them into app.css. */
declare module '*.css';
