/** Portuguese: what an agent's proof asks. */
export default {
  login_title: 'Inicie sessão para o vídeo',
  login_help: 'O início de sessão abre numa janela própria. Continue lá apenas se mostrar este código:',
  login_code: 'Código {code}',
  login_open: 'Iniciar sessão com LivePerson',
  enrol_title: 'Registar este navegador',
  enrol_help: 'Introduza o código que o seu administrador lhe deu. Serve uma vez, durante um dia.',
  enrol_code: 'O seu código',
  enrol_send: 'Registar',
  enrol_wrong: 'Este código não é válido. Verifique-o ou peça um novo.',
  link_send: 'Enviar uma ligação ao cliente',
  link_text: 'Abra esta ligação para falar connosco por vídeo. Serve uma vez: {url}',
};
