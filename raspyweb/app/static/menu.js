// SPDX-License-Identifier: GPL-3.0-or-later
// On a phone the menu is wider than the window: show the part with the page that is open.

const menu = document.querySelector(".menu"), here = menu?.querySelector("[aria-current]");
if (here) menu.scrollLeft = here.offsetLeft - menu.offsetLeft - (menu.clientWidth - here.offsetWidth) / 2;
