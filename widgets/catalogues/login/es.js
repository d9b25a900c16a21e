/** Spanish: what only the login page says. */
export default {
  login_compare: '¿Muestra su espacio de trabajo este código?',
  login_compare_help: 'Continúe solo si el widget de vídeo de su propio espacio de trabajo muestra exactamente este código. Si alguien le ha enviado aquí, cierre esta página.',
  login_continue: 'Sí, continuar',
  login_done: 'Ha iniciado sesión',
  login_done_help: 'Puede cerrar esta ventana y volver a su espacio de trabajo.',
  login_refused: 'No ha funcionado',
  login_refused_help: 'Cierre esta ventana e inicie sesión de nuevo desde su espacio de trabajo.',
};
