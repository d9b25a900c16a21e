/** Spanish: what only the guest page says. */
export default {
  join_title: 'Tiene una invitación',
  join_help: 'Le han invitado a una sesión de vídeo. Diga quién es, compruebe su imagen y únase.',
  your_name: 'Su nombre',
  joining: 'Entrando…',
  join_no_code: 'Este enlace está incompleto',
  join_no_code_help: 'Abra el enlace exactamente como lo recibió.',
  over_link: 'Para volver a entrar, pida un enlace nuevo.',
  over_page: 'Puede cerrar esta página.',
};
