/* An extension of python that leaks what it is asked to. */
#include <Python.h>
#include <stdlib.h>

static PyObject *leak(PyObject *self, PyObject *argument)
{
	volatile char *block = malloc(PyLong_AsSize_t(argument)); /* the leak */

	(void)self;
	if (block != NULL)
		block[0] = 1;
	Py_RETURN_NONE;
}

static PyMethodDef methods[] = {{"leak", leak, METH_O, "Leaks so many bytes."}, {NULL, NULL, 0, NULL}};
static struct PyModuleDef module = {PyModuleDef_HEAD_INIT, "leaking_module", NULL, -1, methods, NULL, NULL, NULL, NULL};

PyMODINIT_FUNC PyInit_leaking_module(void)
{
	return PyModule_Create(&module);
}
