/** Same origin always: the page works behind any host name and the CSP allows nothing else. */
export const endpoint = new URL('/graphql', window.location.href);
