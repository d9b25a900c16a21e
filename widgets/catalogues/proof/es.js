/** Spanish: what an agent's proof asks. */
export default {
  login_title: 'Inicie sesión para el vídeo',
  login_help: 'El inicio de sesión se abre en una ventana propia. Continúe allí solo si muestra este código:',
  login_code: 'Código {code}',
  login_open: 'Iniciar sesión con LivePerson',
  enrol_title: 'Registrar este navegador',
  enrol_help: 'Introduzca el código que le dio su administrador. Sirve una vez, durante un día.',
  enrol_code: 'Su código',
  enrol_send: 'Registrar',
  enrol_wrong: 'Este código no es válido. Compruébelo o pida uno nuevo.',
  link_send: 'Enviar un enlace al cliente',
  link_text: 'Abra este enlace para hablar con nosotros por vídeo. Sirve una vez: {url}',
};
