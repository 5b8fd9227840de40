"""Clustering methods that the study compares with and that Python lacks."""

from spatgmm.baselines.copo import COPO
from spatgmm.baselines.matrix_normal import MatrixNormalMixture
from spatgmm.baselines.parsimonious import ParsimoniousGaussianMixture, search_parsimonious

__all__ = ["COPO", "MatrixNormalMixture", "ParsimoniousGaussianMixture", "search_parsimonious"]
